package gateway

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/path"
	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// world is a gateway for own.example with everything around it in memory: the
// S/MIME engine and the validator are the real ones.
type world struct {
	t       testing.TB
	ca      *testpki.CA
	keys    *certs.FileKeys // ours
	theirs  *certs.FileKeys // the recipients', to read what arrives
	dir     *fakeDirectory
	log     *bytes.Buffer
	config  Config
	gateway *Gateway
}

// fakeDirectory answers from a map; who is not in it has no certificate.
type fakeDirectory struct {
	mu      sync.Mutex
	results map[string]directory.Result
	asked   map[string]int
	entered chan struct{} // if not nil, each lookup says that it began,
	gate    chan struct{} // and waits for this one
	panics  bool
}

func (d *fakeDirectory) Remembers(address.Address) bool { return false }

func (d *fakeDirectory) Lookup(_ context.Context, a address.Address) directory.Result {
	if d.entered != nil {
		d.entered <- struct{}{}
		<-d.gate
	}
	if d.panics {
		panic("directory is broken")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	key := a.Key(address.IgnoreCase)
	d.asked[key]++
	if r, ok := d.results[key]; ok {
		return r
	}
	return directory.Result{Outcome: directory.None, Answers: []directory.Answer{{Source: "fake"}}}
}

var errSilent = errors.New("no answer")

const (
	bob   = "bob@enc.example"   // has a certificate
	carol = "carol@enc.example" // has another
	dave  = "dave@enc.example"  // had one
	erin  = "erin@enc.example"  // cannot be looked up
)

// rules of the world: one domain for each treatment.
func worldRules() []enforce.Rule {
	return []enforce.Rule{
		{Name: "strip", Recipient: []string{"strip.example"}, Sign: "require", Encrypt: "require", NoCertificate: "strip"},
		{Name: "all", Recipient: []string{"all.example"}, Sign: "never", Encrypt: "require", NoCertificate: "reject-message"},
		{Name: "hold", Recipient: []string{"hold.example"}, Sign: "require", Encrypt: "require", NoCertificate: "hold"},
		{Name: "enc", Recipient: []string{"enc.example"}, Sign: "require", Encrypt: "require"},
		{Name: "mixed", Recipient: []string{"mixed.example"}, Sign: "never", Encrypt: "require", Mixed: "allow"},
		{Name: "prefer", Recipient: []string{"prefer.example"}, Sign: "prefer", Encrypt: "prefer"},
		{Name: "sign", Recipient: []string{"sign.example"}, Sign: "require", Encrypt: "never"},
		{Name: "default", Sign: "never", Encrypt: "never"},
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldFor(t)
}

func newWorldFor(t testing.TB) *world {
	t.Helper()
	w := &world{
		t: t, ca: testpki.Must(testpki.NewCA(testpki.Options{})), log: &bytes.Buffer{},
		dir: &fakeDirectory{results: make(map[string]directory.Result), asked: make(map[string]int)},
	}
	alice := w.issue("alice@own.example")
	w.keys = certs.NewKeys(time.Now, alice)
	var theirs []*certs.Identity
	for _, a := range []string{bob, carol, "x@strip.example", "x@all.example", "x@prefer.example", "x@mixed.example"} {
		id := w.issue(a)
		theirs = append(theirs, id)
		w.dir.results[a] = directory.Result{Outcome: directory.Usable, Certificates: []*x509.Certificate{id.Certificate}}
	}
	w.theirs = certs.NewKeys(time.Now, theirs...)
	w.dir.results[dave] = expiredResult(w.issue(dave).Certificate)
	w.dir.results[erin] = directory.Result{Outcome: directory.Unknown, Answers: []directory.Answer{{Source: "fake", Err: errSilent}}}
	w.dir.results["unknown@strip.example"] = w.dir.results[erin]
	w.dir.results["unknown@prefer.example"] = w.dir.results[erin]
	w.config = Config{
		Hostname: "gw.own.example", Domains: []string{"own.example"},
		Postmaster: w.addr("postmaster@own.example"),
		Listeners: []Listener{
			{Name: "out", Direction: "outbound"},
			{Name: "in", Direction: "inbound"},
			{Name: "auto", Relay: true, Direction: "auto", Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}},
		},
		Policy:    testpki.Must(enforce.Compile(worldRules())),
		Directory: w.dir, Keys: w.keys,
		Checker: testpki.Must(path.NewValidator(path.Config{Anchors: []*x509.Certificate{w.ca.Root}, Revocation: certs.RevocationOff})),
		Inbound: Inbound{Verify: true, Decrypt: true},
		Log:     slog.New(slog.NewTextHandler(w.log, nil)),
	}
	w.start()
	return w
}

// start makes the gateway of the configuration.
func (w *world) start() {
	w.t.Helper()
	g, err := New(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(g.Close)
	w.gateway = g
}

func (w *world) issue(addr string) *certs.Identity {
	w.t.Helper()
	return (*certs.Identity)(testpki.Must(w.ca.Issue(testpki.Leaf{Addresses: []string{addr}})))
}

func expiredResult(cert *x509.Certificate) directory.Result {
	old := *cert
	old.NotAfter = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	return directory.Result{
		Outcome:    directory.None,
		Candidates: []directory.Candidate{{Certificate: &old, Source: "fake", Verdict: certs.Verdict{Result: certs.Fail, Reason: certs.Expired}}},
		Answers:    []directory.Answer{{Source: "fake", Found: 1}},
	}
}

func (w *world) addr(s string) address.Address {
	w.t.Helper()
	if s == "" {
		return address.Null
	}
	a, err := address.Parse(s)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func (w *world) envelope(listener, sender string, to ...string) *relay.Envelope {
	w.t.Helper()
	env := &relay.Envelope{ID: "id1", QueueID: "q1", Listener: listener, Sender: w.addr(sender), Client: relay.Client{Addr: netip.MustParseAddr("192.0.2.1")}}
	for _, s := range to {
		env.Recipients = append(env.Recipients, relay.Recipient{Address: w.addr(s)})
	}
	return env
}

func parseMessage(t testing.TB, s string) *message.Message {
	t.Helper()
	return mustMessage(t, []byte(strings.ReplaceAll(s, "\n", "\r\n")))
}

func mustMessage(t testing.TB, raw []byte) *message.Message {
	t.Helper()
	m, err := message.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

const text = "the plain text"

// letter is a message from alice that shows its recipients.
func (w *world) letter(to ...string) *message.Message {
	return parseMessage(w.t, fmt.Sprintf("From: Alice <alice@own.example>\nTo: %s\nSubject: confidential-subject\nDate: Thu, 1 Jan 2026 09:00:00 +0000\nMessage-ID: <1@own.example>\n\n%s\n", strings.Join(to, ", "), text))
}

// send passes a message from alice to recipients through the gateway.
func (w *world) send(to ...string) (*answer.Outcome, error) {
	w.t.Helper()
	return w.process(w.envelope("out", "alice@own.example", to...), w.letter(to...))
}

// process also checks what holds for every outcome.
func (w *world) process(env *relay.Envelope, msg *message.Message) (*answer.Outcome, error) {
	w.t.Helper()
	before := bytes.Clone(msg.Bytes())
	o, err := w.gateway.outcome(context.Background(), env, msg)
	if !bytes.Equal(before, msg.Bytes()) {
		w.t.Error("the message was changed in place")
	}
	if (o == nil) == (err == nil) {
		w.t.Fatalf("outcome %+v beside error %v", o, err)
	}
	if err == nil {
		w.checkPlaces(env, o)
	}
	if strings.Contains(w.log.String(), "confidential-subject") || strings.Contains(w.log.String(), text) {
		w.t.Errorf("the log has the subject or the text:\n%s", w.log)
	}
	return o, err
}

func (w *world) checkPlaces(env *relay.Envelope, o *answer.Outcome) {
	w.t.Helper()
	places := w.placesOf(o)
	for _, r := range env.Recipients {
		if n := places[r.Address.String()]; n != 1 {
			w.t.Errorf("%s is in %d places", r.Address, n)
		}
	}
}

// placesOf counts in how many places of an outcome each recipient is.
func (w *world) placesOf(o *answer.Outcome) map[string]int {
	places := make(map[string]int)
	for _, d := range o.Deliveries {
		for _, r := range d.Recipients {
			places[r.Address.String()]++
		}
	}
	for _, r := range o.Refused {
		places[r.Recipient.Address.String()]++
	}
	for _, a := range append(o.Stripped, o.Returned...) {
		places[a.String()]++
	}
	for _, h := range (relay.Batch{Held: o.Held, Quarantined: o.Quarantined}).Holds() {
		for _, r := range h.Envelope.Recipients {
			places[r.Address.String()]++
		}
	}
	return places
}

// read opens a message as one of the recipients would.
func (w *world) read(m *message.Message) *smime.Opened {
	w.t.Helper()
	return smime.Open(context.Background(), m, smime.OpenOptions{Keys: w.theirs, Checker: w.config.Checker, At: time.Now()})
}

func isEncrypted(m *message.Message) bool { return smime.Inspect(m).Encrypted }

func isSigned(m *message.Message) bool { return smime.Inspect(m).Signed }
