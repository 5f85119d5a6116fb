package milter

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/smime/message"
)

// answered passes on what an MTA was answered.
type answered struct {
	counter
	with chan error
}

func (a *answered) Answered(t relay.Tally) { a.with <- t.Err }

// TestNothingIsStoredForAnMTAThatIsGone: it has deferred the message, and its client sends it again.
func TestNothingIsStoredForAnMTAThatIsGone(t *testing.T) {
	whole := wiretest.Message(t, "Subject: now\r\n\r\nnow\r\n")
	for _, gone := range []bool{false, true} {
		// The end of a connection by TCP may come later.
		l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
		if err != nil {
			t.Fatal(err)
		}
		var m *mta
		sink, meter := &wiretest.Sink{}, &answered{with: make(chan error, 1)}
		s := NewServer(Config{Queue: sink, Meter: meter, Hostname: "gw.example.com", Log: slog.New(slog.DiscardHandler),
			Handler: &wiretest.Handler{OnProcess: func(ctx context.Context, env *relay.Envelope, msg *message.Message) (*answer.Outcome, error) {
				if gone {
					m.Close()
				}
				return outcome(t, whole)(ctx, env, msg)
			}}})
		done := make(chan error, 1)
		go func() { done <- s.Serve(l) }()
		c, err := net.Dial("unix", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		m = begin(t, c, 0x1ff, allSteps)
		m.mail("a@example.org")
		m.rcpt("o@e.net")
		m.rcpt("x@e.net")
		m.content(text)
		m.send('E', "")
		if err := <-meter.with; (err != nil) != gone {
			t.Errorf("gone %t: %v", gone, err)
		}
		if n := len(sink.All()); (n == 0) != gone {
			t.Errorf("gone %t: %d copies are delivered", gone, n)
		}
		m.Close()
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	}
}

// slow is a queue that stores in the last moment.
type slow struct{}

func (slow) Put(ctx context.Context, _ relay.Batch) error {
	<-ctx.Done()
	return nil
}

// TestStoredInTheLastMoment: what is stored is accepted, as it is delivered.
func TestStoredInTheLastMoment(t *testing.T) {
	w := start(t, Config{Queue: slow{}, Limits: Limits{Process: time.Second},
		Handler: &wiretest.Handler{OnProcess: func(_ context.Context, env *relay.Envelope, m *message.Message) (*answer.Outcome, error) {
			o := wiretest.Pass(env, m)
			o.Notices = []relay.Delivery{wiretest.Notice(t, "a@example.org")}
			return o, nil
		}}})
	m := w.dial()
	m.mail("a@example.org")
	m.rcpt("b@example.net")
	if got := m.message(text); got != "a" {
		t.Errorf("answer %q", got)
	}
}
