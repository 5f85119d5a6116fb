package acme_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/enrol"
	"github.com/smimerelay/smimerelay/certs/enrol/acme"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/testing/acmetest"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

const (
	alice = "alice@example.org"
	table = "public"
	day   = 24 * time.Hour
)

var (
	errNoName = errors.New("no such name")
	discard   = slog.New(slog.DiscardHandler)
)

// world is a store with orders by ACME from a server, whose messages are in mails.
type world struct {
	t         *testing.T
	server    *acmetest.Server
	store     *store.Store
	responder *acme.Responder
	enrol     *enrol.Enroller
	mails     []acmetest.Message
	sent      [][]byte
	key       ed25519.PrivateKey
	dns       map[string][]string
	down      error // of the DNS

	mu  sync.Mutex
	now time.Time
}

// newWorld starts the server; change is for its table.
func newWorld(t *testing.T, change func(*acme.Config, *acme.ResponderEnrolment)) *world {
	t.Helper()
	w := &world{t: t, now: time.Now().UTC().Truncate(time.Second), server: acmetest.New(t)}
	w.server.Mail = func(m acmetest.Message) { w.mails = append(w.mails, m) }
	w.store = testpki.Must(store.Open(t.Context(), store.Config{Key: []byte("0123456789abcdef0123456789abcdef"), Clock: w.clock, Log: discard}))
	t.Cleanup(func() { w.must(w.store.Close()) })
	public, key, err := ed25519.GenerateKey(nil)
	w.must(err)
	w.key, w.dns = key, map[string][]string{"s._domainkey.ca.example": {"v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public)}}
	w.configure(change)
	return w
}

// configure makes the provider and the responder, as a gateway that is started again does.
func (w *world) configure(change func(*acme.Config, *acme.ResponderEnrolment)) {
	c := acme.Config{Enrolment: table, URL: w.server.URL, CA: w.server.TrustFile, Store: w.store, Clock: w.clock}
	d := acme.ResponderEnrolment{}
	if change != nil {
		change(&c, &d)
	}
	d.Provider = testpki.Must(acme.NewProvider(c))
	w.responder = acme.NewResponder(acme.ResponderConfig{
		Store: w.store, Enrolments: map[string]acme.ResponderEnrolment{table: d}, Hostname: "gw.example.org", Clock: w.clock, Log: discard, NoName: errNoName,
		TXT: func(_ context.Context, name string) ([]string, error) {
			if w.down != nil {
				return nil, w.down
			}
			if texts := w.dns[name]; texts != nil {
				return texts, nil
			}
			return nil, errNoName
		},
	})
	w.enrol = enrol.New(enrol.Config{
		Enrolments: []enrol.Enrolment{{Name: table, Match: func(address.Address) bool { return true }, Key: "p256", RenewBefore: 30 * day,
			PerHour: 10, Provider: d.Provider, Origin: store.Imported}},
		Store: w.store, Keys: w.store.Keys(), Clock: w.clock, Log: discard,
	})
}

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

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Error(err)
	}
}

func addr(text string) address.Address { return testpki.Must(address.Parse(text)) }

// issue asks as a message does.
func (w *world) issue() (*certs.Identity, error) {
	return w.enrol.Issue(w.t.Context(), addr(alice))
}

// ordered begins an order, and returns the message that the authority sent.
func (w *world) ordered() acmetest.Message {
	w.t.Helper()
	if id, err := w.issue(); id != nil || !errors.Is(err, certs.ErrOrdered) {
		w.t.Fatalf("%v, %v", id, err)
	}
	if len(w.mails) == 0 {
		w.t.Fatal("the server sent no message")
	}
	return w.mails[len(w.mails)-1]
}

// work does what is due after a time.
func (w *world) work(after time.Duration) {
	w.t.Helper()
	w.advance(after)
	w.must(w.enrol.Work(w.t.Context(), table))
}

// answers sends the answers that are due to the server.
func (w *world) answers() {
	w.t.Helper()
	w.must(w.responder.Answers(w.t.Context(), func(_ context.Context, a acme.Answer) error {
		w.sent = append(w.sent, a.Message.Bytes())
		return w.server.Reply(a.Message.Bytes())
	}))
}

// signed adds a DKIM signature over the fields that the message has.
func (w *world) signed(raw []byte, domain string, fields ...string) []byte {
	w.t.Helper()
	if fields == nil {
		fields = append(acme.Covered(), "Content-Type", "Content-Transfer-Encoding")
	}
	var out bytes.Buffer
	w.must(dkim.Sign(&out, bytes.NewReader(raw), &dkim.SignOptions{Domain: domain, Selector: "s", Signer: crypto.Signer(w.key), HeaderKeys: fields,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed}))
	return out.Bytes()
}

// take shows a message to the responder.
func (w *world) take(raw []byte) (acme.Verdict, error) {
	w.t.Helper()
	return w.responder.Take(w.t.Context(), &acme.Mail{Message: testpki.Must(message.Parse(raw)), To: addr(alice)})
}

// order is the one order of the store.
func (w *world) order() store.Order {
	w.t.Helper()
	list := testpki.Must(w.store.Orders(w.t.Context(), store.OrderQuery{Keys: true}))
	if len(list) == 0 {
		w.t.Fatal("no order")
	}
	return list[len(list)-1]
}
