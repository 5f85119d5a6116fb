package smtpd

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/smime/message"
)

// grouped is outcome with a group, g@example.net, of the members given.
func grouped(t *testing.T, members string) *wiretest.Handler {
	h := handler(t)
	h.OnProcess = func(ctx context.Context, env *relay.Envelope, m *message.Message) (*answer.Outcome, error) {
		inner := *env
		inner.Recipients = nil
		x := answer.Expansion{Group: wiretest.Address(t, "g@example.net")}
		seen := map[string]bool{}
		add := func(a string) {
			if !seen[a] {
				seen[a] = true
				inner.Recipients = append(inner.Recipients, relay.Recipient{Address: wiretest.Address(t, a)})
			}
		}
		for _, r := range env.Recipients {
			if r.Address.Local() != "g" {
				add(r.Address.String())
			}
		}
		for name := range strings.FieldsSeq(members) {
			add(name + "@example.net")
			x.Members = append(x.Members, wiretest.Address(t, name+"@example.net"))
		}
		o, err := outcome(t)(ctx, &inner, m)
		o.Expanded = []answer.Expansion{x}
		return o, err
	}
	return h
}

// One answer for a group: what its members get is stored in one piece, with what
// is to be reported to the sender, and nothing of it is handed to the next hop now.
func TestLMTPAnswersForGroups(t *testing.T) {
	for _, tc := range []struct {
		name, to, members string
		put               error
		want              []string
		stored, delivered string
	}{
		{"all", "g", "x y", nil, []string{"250 2.0.0"}, "[x@example.net y@example.net]", "[]"},
		{"beside another", "g z", "x", nil, []string{"250 2.0.0", "250 2.0.0"}, "[x@example.net]", "[z@example.net]"},
		{"a member named too", "x g z", "x y", nil, []string{"250 2.0.0", "250 2.0.0", "250 2.0.0"}, "[x@example.net y@example.net]", "[z@example.net]"},
		{"one refused", "g", "x r", nil, []string{"250 2.0.0"}, "[x@example.net report@example.org]", "[]"},
		{"one refused and named too", "r g", "x r", nil, []string{"550 5.7.1", "250 2.0.0"}, "[x@example.net]", "[]"},
		{"one removed", "g", "x s", nil, []string{"250 2.0.0"}, "[x@example.net a@example.org]", "[]"},
		{"one removed beside", "g s", "x", nil, []string{"250 2.0.0", "250 2.0.0"}, "[x@example.net a@example.org]", "[]"},
		{"one held", "g", "x h", nil, []string{"250 2.0.0"}, "[x@example.net a@example.org] [h@example.net]", "[]"},
		{"all held", "g z", "h", nil, []string{"250 2.0.0", "250 2.0.0"}, "[a@example.org] [h@example.net]", "[z@example.net]"},
		{"one held beside", "g h z", "x", nil, []string{"250 2.0.0", "250 2.0.0", "250 2.0.0"}, "[x@example.net a@example.org] [h@example.net]", "[z@example.net]"},
		{"one held and the queue is full", "g h z", "x", fault.New(fault.Capacity, "queue full", nil), []string{"452 4.3.1", "452 4.3.1", "250 2.0.0"}, "[]", "[z@example.net]"},
		{"all refused", "g", "r r2", nil, []string{"550 5.7.1"}, "[]", "[]"},
		{"all wait", "g z", "t t2", nil, []string{"451 4.4.3", "250 2.0.0"}, "[]", "[z@example.net]"},
		{"some wait", "g z", "x t", nil, []string{"451 4.3.0", "451 4.3.0"}, "[]", "[]"},
		{"the queue is full", "g x z", "x y", fault.New(fault.Capacity, "queue full", nil), []string{"452 4.3.1", "452 4.3.1", "250 2.0.0"}, "[]", "[z@example.net]"},
		{"the queue is full for a notice", "g s", "x", fault.New(fault.Capacity, "queue full", nil), []string{"452 4.3.1", "452 4.3.1"}, "[]", "[]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			queue := &wiretest.Sink{OnPut: func([]relay.Delivery) error { return tc.put }}
			hop := &wiretest.Sink{}
			w := start(t, Config{LMTP: true, Handler: grouped(t, tc.members), Queue: queue, Deliverer: hop})
			p := w.dial()
			p.do("LHLO client.example.org", "250 ")
			p.do("MAIL FROM:<a@example.org>", "250 ")
			for to := range strings.FieldsSeq(tc.to) {
				p.do("RCPT TO:<"+to+"@example.net>", "250 ")
			}
			p.do("DATA", "354 ")
			p.send(text + ".\r\n")
			for _, want := range tc.want {
				p.expect(want)
			}
			if got := fmt.Sprint(queue.Recipients()) + held(queue); got != tc.stored {
				t.Errorf("stored %s, want %s", got, tc.stored)
			}
			if got := fmt.Sprint(hop.Recipients()); got != tc.delivered {
				t.Errorf("delivered %s, want %s", got, tc.delivered)
			}
		})
	}
}

func TestSMTPAnswersForGroups(t *testing.T) {
	for _, tc := range []struct{ to, members, want, stored string }{
		{"g", "x y", "250 ", "[x@example.net y@example.net]"},
		{"x g", "x r", "250 ", "[x@example.net report@example.org]"},
		{"g z", "x t", "451 4.4.3", "[]"},
		{"g", "r", "550 5.7.1 no certificate", "[]"},
	} {
		w := start(t, Config{Handler: grouped(t, tc.members)})
		p := w.dial()
		p.do("EHLO client.example.org", "250 ")
		p.do("MAIL FROM:<a@example.org>", "250 ")
		for to := range strings.FieldsSeq(tc.to) {
			p.do("RCPT TO:<"+to+"@example.net>", "250 ")
		}
		p.do("DATA", "354 ")
		p.send(text + ".\r\n")
		p.expect(tc.want)
		if got := fmt.Sprint(w.sink.Recipients()); got != tc.stored {
			t.Errorf("%s of %s: stored %s, want %s", tc.to, tc.members, got, tc.stored)
		}
	}
}

func held(s *wiretest.Sink) string {
	if len(s.Held()) == 0 {
		return ""
	}
	return " " + s.HeldRecipients()
}
