package harvest

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/path"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

const bob = "bob@partner.example"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a Harvester between a real validator and a real store in memory.
type world struct {
	*Harvester
	t     testing.TB
	ca    *testpki.CA
	store *store.Store
	log   bytes.Buffer
	cfg   Config

	mu  sync.Mutex
	now time.Time
}

func newWorld(t testing.TB, edit func(*Config)) *world {
	t.Helper()
	w := &world{t: t, now: time.Now().Truncate(time.Second), ca: testpki.Must(testpki.Must(testpki.NewCA(testpki.Options{
		Name: "Root", NotBefore: time.Now().AddDate(-5, 0, 0), NotAfter: time.Now().AddDate(5, 0, 0),
	})).Intermediate(testpki.Options{Name: "Mail CA", NotBefore: time.Now().AddDate(-5, 0, 0), NotAfter: time.Now().AddDate(5, 0, 0)}))}
	w.store = testpki.Must(store.Open(context.Background(), store.Config{Clock: w.clock}))
	w.cfg = Config{
		Store: w.store, Checker: testpki.Must(path.NewValidator(path.Config{
			Anchors: []*x509.Certificate{w.ca.Root}, Revocation: certs.RevocationOff, Clock: w.clock,
		})),
		Own: patterns("own.example"), Clock: w.clock,
		Log: slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if edit != nil {
		edit(&w.cfg)
	}
	w.Harvester = New(w.cfg)
	t.Cleanup(func() {
		w.Close()
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
		if strings.Contains(w.log.String(), "panic") {
			t.Error(w.log.String())
		}
	})
	return w
}

func patterns(list ...string) *enforce.Patterns { return testpki.Must(enforce.CompilePatterns(list)) }

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// flush ends the Harvester, so that all is stored, and begins another.
func (w *world) flush() {
	w.Close()
	w.Harvester = New(w.cfg)
}

// issue makes an identity that began days ago.
func (w *world) issue(days int, edit func(*testpki.Leaf), addresses ...string) *testpki.Identity {
	w.t.Helper()
	l := testpki.Leaf{Name: addresses[0], Addresses: addresses, NotBefore: w.now.AddDate(0, 0, -days), NotAfter: w.now.AddDate(0, 0, 365-days)}
	if edit != nil {
		edit(&l)
	}
	return testpki.Must(w.ca.Issue(l))
}

// letter is what a message says besides its text.
type letter struct {
	from    string
	signers []cms.Signer
	extra   []*x509.Certificate // beside the chain
	edit    func(signed string) string
}

// signer makes one that signs now with id, reading ciphers.
func (w *world) signer(id *testpki.Identity, ciphers ...cms.Cipher) cms.Signer {
	return cms.Signer{Certificate: id.Certificate, Key: id.Key.(crypto.Signer), Time: w.clock(), Ciphers: ciphers}
}

// report is what verifying a letter comes to.
func (w *world) report(l letter) *smime.Report {
	w.t.Helper()
	content := []byte("Content-Type: text/plain\r\n\r\nhello\r\n")
	object, err := cms.Sign(cms.SignRequest{
		Content: [][]byte{content}, Signers: l.signers, Certificates: append(w.ca.Chain[:len(w.ca.Chain):len(w.ca.Chain)], l.extra...),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	text := "From: <" + l.from + ">\r\nDate: " + l.signers[0].Time.Format(time.RFC1123Z) + "\r\nContent-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m\r\n" +
		"Content-Transfer-Encoding: base64\r\n\r\n" + base64Lines(object.Bytes())
	if l.edit != nil {
		text = l.edit(text)
	}
	r := smime.Open(context.Background(), testpki.Must(message.Parse([]byte(text))), smime.OpenOptions{Checker: w.cfg.Checker, At: w.clock()}).Report
	return &r
}

// passing is report for a message that must pass.
func (w *world) passing(l letter) *smime.Report {
	w.t.Helper()
	r := w.report(l)
	if r.Result != certs.Pass {
		w.t.Fatalf("the message did not pass: %+v", r)
	}
	return r
}

// kept returns what the store has for an address, youngest first.
func (w *world) kept(addr string) []store.Entry {
	w.t.Helper()
	w.flush()
	a := testpki.Must(address.Parse(addr))
	return testpki.Must(w.store.Find(context.Background(), store.Query{Address: &a, Chain: true}))
}

// wantKept compares what the store has for an address.
func (w *world) wantKept(name, addr string, ids ...*testpki.Identity) []store.Entry {
	w.t.Helper()
	got := w.kept(addr)
	same := len(got) == len(ids)
	for i := range ids {
		same = same && got[i].Fingerprint == sha256.Sum256(ids[i].Certificate.Raw)
	}
	if !same {
		w.t.Errorf("%s: %d certificates of %s, want %d\n%s", name, len(got), addr, len(ids), w.log.String())
	}
	return got
}
