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
	"strconv"
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

// settings are what a gateway knows: the server and its certificate, the folder into which the
// server writes its messages, and where answers go.
type settings struct{ Server, TLS, Messages, Answers string }

// gateway orders, takes the messages in that came, and answers them. Its clock goes on two minutes
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

// takeIn shows the messages that came to the responder, as an MTA does that knows of none whether it was
// taken. Whose they are, the test of the responder looks at.
func (s settings) takeIn(ctx context.Context, responder *acme.Responder) error {
	files, err := os.ReadDir(s.Messages)
	for _, f := range files {
		raw, failed := os.ReadFile(filepath.Join(s.Messages, f.Name()))
		parsed, broken := message.Parse(raw)
		if err = errors.Join(err, failed, broken); err != nil {
			return err
		}
		if _, err := responder.Take(ctx, &acme.Mail{Message: parsed, To: killtest.Person(), Signer: addr("acme-challenge@ca.example")}); err != nil {
			return err
		}
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

// TestKilled: a gateway that is killed at any change of its store or call of the provider, or when a
// request was carried out or its answer was sent, and before it knows, leaves an order that the next
// one finishes with the key that was there: one certificate is issued, for one request, to one account,
// and its message is answered once. Only of an order whose URL it could not store it makes another at
// the CA, where the first one is never finished.
func TestKilled(t *testing.T) {
	for place, least := range map[killtest.Place]int{killtest.InGateway: 30, killtest.AtCA: 10} {
		t.Run(string(place), func(t *testing.T) { killtest.Each(t, place, least, killed) })
	}
}

func killed(t *testing.T, d *killtest.Death) {
	server := acmetest.New(t)
	s := settings{Server: server.URL, TLS: filepath.Join(d.Dir, "tls.pem"), Messages: t.TempDir()}
	sent := 0 // the server sends one after the other
	server.Mail = func(m acmetest.Message) {
		sent++
		_ = os.WriteFile(filepath.Join(s.Messages, strconv.Itoa(sent)), m.Bytes(), 0o600)
	}
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
	left, ordered := d.Orders(t), server.Requests("new-order")
	d.Resume(t, text)
	d.Check(t, left, killtest.Result{Orders: 1, Origin: store.Imported})
	if ordered == 0 || len(left[0].Reference) == 0 && left[0].State != store.OrderDone {
		ordered++
	}
	// The answer to the message of an order that it does not know is not the right one.
	if answers, wrong := mails.seen(); answers != ordered || wrong != ordered-1 || server.Issued() != 1 || server.Accounts() != 1 {
		t.Errorf("%s: %d answers, %d of them wrong, %d issued, %d accounts", d.Name, answers, wrong, server.Issued(), server.Accounts())
	}
	if orders, n := server.Requests("new-order"), server.Requests("finalize"); orders != ordered || n != 1 {
		t.Errorf("%s: %d orders at the CA instead of %d, finalized %d times", d.Name, orders, ordered, n)
	}
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

// seen is how many answers came, and how many of them were wrong.
func (m *mailbox) seen() (answers, wrong int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, err := range m.errs {
		if err != nil {
			wrong++
		}
	}
	return len(m.errs), wrong
}
