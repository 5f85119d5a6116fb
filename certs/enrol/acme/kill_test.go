package acme_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/enrol"
	"github.com/smimerelay/smimerelay/certs/enrol/acme"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/testing/acmetest"
	"github.com/smimerelay/smimerelay/internal/testing/killtest"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/message"
)

func TestMain(m *testing.M) { killtest.Main(m, gateway) }

// settings are what a gateway knows: the server and its certificate, the file into which the
// server writes its message, and where answers go.
type settings struct{ Server, TLS, Message, Answers string }

// gateway orders, takes the message in if it came, and answers it. Its clock goes on two minutes
// with each round.
func gateway(g *killtest.Gateway) error {
	ctx := context.Background()
	var s settings
	if err := json.Unmarshal([]byte(g.Settings), &s); err != nil {
		return err
	}
	p, err := acme.NewProvider(acme.Config{Enrolment: killtest.Table, URL: s.Server, CA: s.TLS, Store: g.Store, Clock: g.Clock})
	if err != nil {
		return err
	}
	responder := acme.NewResponder(acme.ResponderConfig{Store: g.Store, Enrolments: map[string]acme.ResponderEnrolment{killtest.Table: {Provider: p}},
		Hostname: "gw.example.org", Clock: g.Clock, Log: discard})
	e := g.Enroller(enrol.Enrolment{Key: "p256", Provider: p, Origin: store.Imported}, nil)
	for range 6 {
		if _, err := e.Issue(ctx, killtest.Person()); err != nil && !errors.Is(err, certs.ErrOrdered) {
			return err
		}
		if err := s.takeIn(ctx, responder); err != nil {
			return err
		}
		if err := errors.Join(responder.Answers(ctx, s.send), e.Work(ctx, killtest.Table)); err != nil {
			return err
		}
		g.Pass(2 * time.Minute)
	}
	return nil
}

// takeIn shows the message to the responder if it came. Of whom it is, the test of the responder looks at.
func (s settings) takeIn(ctx context.Context, responder *acme.Responder) error {
	raw, err := os.ReadFile(s.Message)
	if err != nil {
		return nil //nolint:nilerr // not yet
	}
	parsed, err := message.Parse(raw)
	if err == nil {
		_, err = responder.Take(ctx, &acme.Mail{Message: parsed, To: killtest.Person(), Signer: addr("acme-challenge@ca.example")})
	}
	return err
}

// send sends an answer.
func (s settings) send(_ context.Context, a acme.Answer) error {
	answer, err := http.Post(s.Answers, "message/rfc822", bytes.NewReader(a.Message.Bytes())) //nolint:noctx // in a process that ends
	if err == nil {
		answer.Body.Close()
	}
	return err
}

// TestKilled: a gateway that is killed when a request was carried out, or its answer was sent,
// and before it knows, leaves an order that the next one finishes with the key that was there: one
// certificate is issued, for one request, to one account, and the message is answered once.
func TestKilled(t *testing.T) {
	killtest.Each(t, killtest.AtCA, 10, func(t *testing.T, d *killtest.Death) {
		server := acmetest.New(t)
		s := settings{Server: server.URL, TLS: filepath.Join(d.Dir, "tls.pem"), Message: filepath.Join(d.Dir, "mail")}
		server.Mail = func(m acmetest.Message) { _ = os.WriteFile(s.Message, m.Bytes(), 0o600) }
		server.Done = func(string) { d.Step() }
		mails := &mailbox{server: server, death: d}
		h := httptest.NewServer(mails)
		t.Cleanup(h.Close)
		s.Answers = h.URL
		if err := os.WriteFile(s.TLS, testpki.Must(os.ReadFile(server.TrustFile)), 0o600); err != nil {
			t.Fatal(err)
		}
		text := string(testpki.Must(json.Marshal(s)))
		d.Kill(t, text)
		left := d.Orders(t)
		d.Resume(t, text)
		d.Check(t, left, killtest.Result{Orders: 1, Origin: store.Imported})
		if err := mails.failed(); err != nil || server.Issued() != 1 || server.Accounts() != 1 {
			t.Errorf("%s: %d issued, %d accounts, %v", d.Name, server.Issued(), server.Accounts(), err)
		}
		if n, replies := server.Requests("finalize"), server.Replies(); n != 1 || replies != 1 {
			t.Errorf("%s: finalized %d times, %d answers", d.Name, n, replies)
		}
	})
}

// mailbox is where answers arrive at the server.
type mailbox struct {
	server *acmetest.Server
	death  *killtest.Death

	mu   sync.Mutex
	errs []error
}

func (m *mailbox) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err == nil {
		err = m.server.Reply(raw)
	}
	m.mu.Lock()
	m.errs = append(m.errs, err)
	m.mu.Unlock()
	m.death.Step()
}

// failed is what was wrong with the answers.
func (m *mailbox) failed() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return errors.Join(m.errs...)
}
