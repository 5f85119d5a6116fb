// Package wiretest has stand-ins for what the adapters talk to, for their
// tests.
package wiretest

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Handler is a relay.Handler made of functions; those that are nil accept.
type Handler struct {
	OnRecipient func(*relay.Envelope, relay.Recipient) error
	OnProcess   func(context.Context, *relay.Envelope, *message.Message) (*answer.Outcome, error)
	OnReport    func(relay.Delivery, relay.Event) (relay.Delivery, bool, error)

	mu   sync.Mutex
	seen []Seen
}

// Seen is a message that was processed.
type Seen struct {
	Envelope relay.Envelope
	Text     string
}

// Recipient calls OnRecipient.
func (h *Handler) Recipient(_ context.Context, env *relay.Envelope, r relay.Recipient) error {
	if h.OnRecipient == nil {
		return nil
	}
	return h.OnRecipient(env, r)
}

// Process notes the message and calls OnProcess.
func (h *Handler) Process(ctx context.Context, env *relay.Envelope, m *message.Message, can relay.Capabilities) (*relay.Answer, error) {
	h.mu.Lock()
	h.seen = append(h.seen, Seen{*env, string(m.Bytes())})
	h.mu.Unlock()
	o := Pass(env, m)
	if h.OnProcess != nil {
		var err error
		if o, err = h.OnProcess(ctx, env, m); err != nil {
			return nil, err
		}
	}
	return answer.Of(ctx, o, env, m, can, h)
}

// Report calls OnReport.
func (h *Handler) Report(_ context.Context, d relay.Delivery, e relay.Event) (relay.Delivery, bool, error) {
	if h.OnReport == nil {
		return relay.Delivery{}, false, nil
	}
	return h.OnReport(d, e)
}

// Seen returns the messages that were processed.
func (h *Handler) Seen() []Seen {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Seen(nil), h.seen...)
}

// Pass is the outcome that hands the message on as it is.
func Pass(env *relay.Envelope, m *message.Message) *answer.Outcome {
	return &answer.Outcome{Deliveries: []relay.Delivery{Copy(env, m, env.Recipients...)}}
}

// Copy is a delivery under env to some of its recipients.
func Copy(env *relay.Envelope, m *message.Message, to ...relay.Recipient) relay.Delivery {
	return relay.Delivery{Sender: env.Sender, Recipients: to, Params: env.Params, Message: m}
}

// Notice is a delivery with the null sender.
func Notice(tb testing.TB, to string) relay.Delivery {
	tb.Helper()
	return relay.Delivery{Recipients: []relay.Recipient{{Address: Address(tb, to)}}, Message: Message(tb, "Subject: notice\r\n\r\n")}
}

// Addresses are the recipients of an envelope.
func Addresses(env *relay.Envelope) []address.Address {
	var all []address.Address
	for _, r := range env.Recipients {
		all = append(all, r.Address)
	}
	return all
}

// Address parses an address.
func Address(tb testing.TB, s string) address.Address {
	tb.Helper()
	a, err := address.Parse(s)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// Message parses a message.
func Message(tb testing.TB, text string) *message.Message {
	tb.Helper()
	m, err := message.Parse([]byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// Sink is a relay.Queue and a relay.Deliverer that keeps what it gets.
type Sink struct {
	// OnPut and OnDeliver answer; nil accepts.
	OnPut     func([]relay.Delivery) error
	OnDeliver func(to string) error
	// Relays says that the next hop does not know NOTIFY.
	Relays bool

	mu   sync.Mutex
	all  []relay.Delivery
	held []relay.Hold
}

// Put keeps the deliveries, and the message that is held.
func (s *Sink) Put(ctx context.Context, b relay.Batch) error {
	ds := slices.Concat(b.Copies, b.Notices)
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.OnPut != nil {
		if err := s.OnPut(ds); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, ds...)
	for _, h := range b.Holds() {
		s.held = append(s.held, *h)
	}
	return nil
}

// Held returns the messages that are held.
func (s *Sink) Held() []relay.Hold {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]relay.Hold(nil), s.held...)
}

// Deliver keeps the delivery with the recipients that OnDeliver accepts.
func (s *Sink) Deliver(_ context.Context, d relay.Delivery) ([]error, []bool) {
	errs := make([]error, len(d.Recipients))
	kept := d
	kept.Recipients = nil
	for i, r := range d.Recipients {
		if s.OnDeliver != nil {
			errs[i] = s.OnDeliver(r.Address.String())
		}
		if errs[i] == nil {
			kept.Recipients = append(kept.Recipients, r)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(kept.Recipients) > 0 {
		s.all = append(s.all, kept)
	}
	return errs, slices.Repeat([]bool{s.Relays}, len(errs))
}

// All returns what was kept.
func (s *Sink) All() []relay.Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]relay.Delivery(nil), s.all...)
}

// Recipients returns the recipients of each delivery, as text.
func (s *Sink) Recipients() []string {
	var all []string
	for _, d := range s.All() {
		text := ""
		for i, r := range d.Recipients {
			if i > 0 {
				text += " "
			}
			text += r.Address.String()
		}
		all = append(all, text)
	}
	return all
}

// Server is what the tests start.
type Server interface {
	Serve(net.Listener) error
	Shutdown(context.Context) error
}

// Start serves on a loopback port until the end of the test and returns the
// address.
func Start(tb testing.TB, s Server) string {
	tb.Helper()
	return StartAt(tb, "127.0.0.1:0", s)
}

// StartAt is Start at an address.
func StartAt(tb testing.TB, address string, s Server) string {
	tb.Helper()
	ln, err := net.Listen("tcp", address)
	if err != nil {
		tb.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			tb.Errorf("shutdown: %v", err)
		}
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			tb.Errorf("serve: %v", err)
		}
	})
	return ln.Addr().String()
}

// Dial connects and sets a deadline, so that no test hangs.
func Dial(tb testing.TB, addr string) net.Conn {
	tb.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	return c
}

// Until waits for what another goroutine brings about.
func Until(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			tb.Fatalf("waited in vain for %s", what)
		}
	}
}
