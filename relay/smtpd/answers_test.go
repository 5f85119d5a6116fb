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
	"github.com/smimerelay/smimerelay/relay/internal/wire"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// outcome sorts recipients by the first letter of their address: r is refused,
// t refused for now, s stripped, h held, and each other one gets a copy of its own; for k
// one is kept for the house.
func outcome(t *testing.T) func(context.Context, *relay.Envelope, *message.Message) (*answer.Outcome, error) {
	return func(_ context.Context, env *relay.Envelope, m *message.Message) (*answer.Outcome, error) {
		o := &answer.Outcome{}
		for _, r := range env.Recipients {
			switch r.Address.Local()[0] {
			case 'r':
				o.Refused = append(o.Refused, relay.RecipientStatus{Recipient: r, Err: fault.New(fault.Policy, "no certificate", nil)})
			case 't':
				o.Refused = append(o.Refused, relay.RecipientStatus{Recipient: r, Err: fault.New(fault.Unavailable, "no answer", nil)})
			case 's':
				o.Stripped = append(o.Stripped, r.Address)
			case 'h':
				wiretest.AddHeld(o, env, r)
				o.Held.Message = m
			case 'k':
				o.Kept = append(o.Kept, wiretest.Notice(t, "archive@example.org"))
				fallthrough
			default:
				o.Deliveries = append(o.Deliveries, wiretest.Copy(env, m, r))
			}
		}
		if len(o.Stripped) > 0 || o.Held != nil {
			o.Notices = []relay.Delivery{wiretest.Notice(t, "a@example.org")}
		}
		return o, nil
	}
}

func handler(t *testing.T) *wiretest.Handler {
	return &wiretest.Handler{
		OnProcess: outcome(t),
		OnReport: func(relay.Delivery, relay.Event) (relay.Delivery, bool, error) {
			return wiretest.Notice(t, "report@example.org"), true, nil
		},
	}
}

// One answer for all: what is handed on is handed on in one piece, with the
// notices and the report, or not at all.
func TestSMTPAnswers(t *testing.T) {
	for _, tc := range []struct {
		to, want, delivered string
	}{
		{"x", "250 ", "[x@example.net]"},
		{"x y", "250 ", "[x@example.net y@example.net]"},
		{"x r", "250 ", "[x@example.net report@example.org]"},
		{"x s", "250 ", "[x@example.net a@example.org]"},
		{"x s r", "250 ", "[x@example.net a@example.org report@example.org]"},
		{"x h", "250 ", "[x@example.net a@example.org] [h@example.net]"},
		{"h", "250 ", "[a@example.org] [h@example.net]"},
		{"h s r h2", "250 ", "[a@example.org report@example.org] [h@example.net h2@example.net]"},
		{"x h t", "451 4.4.3", "[]"},
		{"x t", "451 4.4.3", "[]"},
		{"r", "550 5.7.1 no certificate", "[]"},
		{"r r2", "550 5.7.1 all recipients rejected by policy: no certificate; no certificate", "[]"},
		{"r t", "451 4.4.3", "[]"},
		{"s", "550 5.7.1 all recipients rejected by policy: <s@example.net>", "[]"},
	} {
		t.Run(tc.to, func(t *testing.T) {
			w := start(t, Config{Handler: handler(t)})
			p := w.dial()
			p.do("EHLO client.example.org", "250 ")
			p.do("MAIL FROM:<a@example.org>", "250 ")
			for to := range strings.FieldsSeq(tc.to) {
				p.do("RCPT TO:<"+to+"@example.net>", "250 ")
			}
			p.do("DATA", "354 ")
			p.send(text + ".\r\n")
			p.expect(tc.want)
			if got := fmt.Sprint(w.sink.Recipients(), " ", w.sink.HeldRecipients()); got != tc.delivered && got != tc.delivered+" []" {
				t.Errorf("handed on %s, want %s", got, tc.delivered)
			}
		})
	}
}

// One answer a recipient, also after that of a next hop that closes: the connection of the
// client goes on.
func TestLMTPAnswers(t *testing.T) {
	h := handler(t)
	sink := &wiretest.Sink{OnDeliver: func(to string) error {
		switch to {
		case "down@example.net":
			return fault.New(fault.NextHop, "connection lost", nil)
		case "bye@example.net":
			return &fault.Error{Kind: fault.NextHop, Reply: fault.Reply{Code: 421, Enhanced: [3]int{4, 3, 2}, Text: "closing"}}
		case "no@example.net":
			return &fault.Error{Kind: fault.Refused, Reply: fault.Reply{Code: 552, Enhanced: [3]int{5, 2, 2}, Text: "mailbox full"}}
		}
		return nil
	}}
	w := start(t, Config{LMTP: true, Handler: h, Deliverer: sink})
	p := w.dial()
	p.do("LHLO client.example.org", "250 ")
	p.do("MAIL FROM:<a@example.org>", "250 ")
	to := []string{"x", "bye", "r", "down", "s", "x", "no", "t"}
	for _, r := range to {
		p.do("RCPT TO:<"+r+"@example.net>", "250 ")
	}
	p.do("DATA", "354 ")
	p.send(text + ".\r\n")
	for i, want := range []string{"250 2.0.0", "451 4.3.2", "550 5.7.1", "451 4.4.1", "250 2.0.0", "250 2.0.0", "552 5.2.2", "451 4.4.3"} {
		if r := p.expect(want); !strings.Contains(r, "<"+to[i]+"@example.net>") {
			t.Errorf("answer %d is %q", i, r)
		}
	}
	if got := fmt.Sprint(sink.Recipients()); got != "[a@example.org x@example.net]" {
		t.Errorf("delivered %s", got)
	}
	if env := w.handler.Seen()[0].Envelope; len(env.Recipients) != 7 {
		t.Errorf("the recipient named twice is %d times in %v", len(env.Recipients), env.Recipients)
	}
}

// Who is held is accepted when message and notice are in the queue, in one step.
func TestLMTPHolds(t *testing.T) {
	for _, full := range []bool{false, true} {
		queue, hop := &wiretest.Sink{}, &wiretest.Sink{}
		want := "250 2.0.0"
		if full {
			queue.OnPut = func([]relay.Delivery) error { return fault.New(fault.Capacity, "queue full", nil) }
			want = "452 4.3.1"
		}
		w := start(t, Config{LMTP: true, Handler: handler(t), Queue: queue, Deliverer: hop})
		p := w.dial()
		p.envelope("LHLO", "x@example.net", "h@example.net", "s@example.net", "t@example.net")
		p.do("DATA", "354 ")
		p.send(text + ".\r\n")
		for _, answer := range []string{"250 2.0.0", want, want, "451 4.4.3"} {
			p.expect(answer)
		}
		if got := fmt.Sprint(hop.Recipients(), " ", queue.Recipients(), " ", queue.HeldRecipients()); !full && got != "[x@example.net] [a@example.org] [h@example.net]" ||
			full && got != "[x@example.net] [] []" {
			t.Errorf("full %v: %s", full, got)
		}
	}
}

// A message to be held where there is nothing to hold it stays with the peer.
func TestLMTPHoldsWithoutAQueue(t *testing.T) {
	w := start(t, Config{LMTP: true, Handler: handler(t), Queue: noQueue{}})
	p := w.dial()
	p.envelope("LHLO", "h@example.net")
	p.do("DATA", "354 ")
	p.send(text + ".\r\n")
	p.expect("451 4.3.0")
}

// What must be stored first and cannot be keeps all copies back.
func TestLMTPKeepsNothing(t *testing.T) {
	w := start(t, Config{LMTP: true, Handler: handler(t), Queue: noQueue{}})
	p := w.dial()
	p.envelope("LHLO", "x@example.net", "k@example.net")
	p.do("DATA", "354 ")
	p.send(text + ".\r\n")
	p.expect("451 4.3.0")
	p.expect("451 4.3.0")
	if got := w.sink.Recipients(); len(got) != 0 {
		t.Errorf("delivered: %v", got)
	}
}

// noQueue is a queue that is not there.
type noQueue struct{ relay.Queue }

func (noQueue) Put(ctx context.Context, b relay.Batch) error { return wire.Store(ctx, nil, b) }

// Stripped without a word to the sender would be lost.
func TestLMTPNoticeFails(t *testing.T) {
	sink := &wiretest.Sink{OnDeliver: func(to string) error {
		if to == "a@example.org" {
			return fault.New(fault.Refused, "no", nil)
		}
		return nil
	}}
	w := start(t, Config{LMTP: true, Handler: handler(t), Deliverer: sink})
	p := w.dial()
	p.envelope("LHLO", "x@example.net", "s@example.net")
	p.do("DATA", "354 ")
	p.send(text + ".\r\n")
	p.expect("250 2.0.0")
	p.expect("451 4.4.1")
}

func TestRecipientRefusedAtOnce(t *testing.T) {
	h := &wiretest.Handler{OnRecipient: func(env *relay.Envelope, r relay.Recipient) error {
		if r.Address.Local() == "no" {
			return fault.New(fault.Policy, "no certificate for "+r.Address.String(), nil)
		}
		return nil
	}}
	for _, lmtp := range []bool{false, true} {
		w := start(t, Config{Handler: h, LMTP: lmtp})
		p := w.dial()
		p.do(map[bool]string{false: "EHLO", true: "LHLO"}[lmtp]+" client.example.org", "250 ")
		p.do("MAIL FROM:<a@example.org>", "250 ")
		p.do("RCPT TO:<b@example.net>", "250 ")
		p.do("RCPT TO:<no@example.net>", "550 5.7.1 no certificate for no@example.net")
		p.do("DATA", "354 ")
		p.send(text + ".\r\n")
		p.expect("250 ")
		if got := fmt.Sprint(w.sink.Recipients()); got != "[b@example.net]" {
			t.Errorf("delivered %s", got)
		}
	}
}

// An outcome that forgets a recipient must not be answered with 250.
func TestOutcomeForgetsRecipient(t *testing.T) {
	h := &wiretest.Handler{OnProcess: func(_ context.Context, env *relay.Envelope, m *message.Message) (*answer.Outcome, error) {
		return &answer.Outcome{
			Deliveries: []relay.Delivery{wiretest.Copy(env, m, env.Recipients[0])},
			Stripped:   []address.Address{env.Recipients[0].Address},
		}, nil
	}}
	for _, lmtp := range []bool{false, true} {
		w := start(t, Config{Handler: h, LMTP: lmtp})
		p := w.dial()
		p.envelope(map[bool]string{false: "EHLO", true: "LHLO"}[lmtp], "b@example.net", "c@example.net")
		p.do("DATA", "354 ")
		p.send(text + ".\r\n")
		p.expect("451 4.3.0")
		if all := w.sink.All(); len(all) > 0 {
			t.Errorf("handed on %v", all)
		}
	}
}

func TestQueueFull(t *testing.T) {
	w := start(t, Config{Queue: &wiretest.Sink{OnPut: func([]relay.Delivery) error {
		return fault.New(fault.Capacity, "queue full", nil)
	}}})
	p := w.dial()
	p.envelope("EHLO", "b@example.net")
	p.do("DATA", "354 ")
	p.send(text + ".\r\n")
	p.expect("452 4.3.1 queue full")
}

// The library keeps the recipients of the first MAIL for the second: no client may
// be promised a message that no recipient is to get.
func TestNestedMail(t *testing.T) {
	for _, lmtp := range []bool{false, true} {
		w := start(t, Config{LMTP: lmtp})
		p := w.dial()
		p.envelope(map[bool]string{false: "EHLO", true: "LHLO"}[lmtp], "b@example.net")
		p.do("MAIL FROM:<c@example.org>", "503 5.5.1")
		p.do("DATA", "354 ")
		p.send(text + ".\r\n")
		p.expect("250 ")
		if all := w.sink.All(); len(all) != 1 || all[0].Sender.String() != "a@example.org" || len(all[0].Recipients) != 1 {
			t.Errorf("delivered %v", all)
		}
	}
}

// RSET between two BDAT gives the message up, and with it the connection: the
// library may take the result of the one for that of the next.
func TestResetInBDAT(t *testing.T) {
	w := start(t, Config{})
	for _, reset := range []string{"RSET", "EHLO client.example.org"} {
		for _, first := range []string{"BDAT 10\r\n0123456789", "BDAT 0\r\n"} {
			p := w.dial()
			p.envelope("EHLO", "b@example.net")
			p.send(first)
			p.expect("250 2.0.0 Continue")
			p.send(fmt.Sprintf("%s\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<c@example.net>\r\nBDAT %d LAST\r\n%s", reset, len(text), text))
			p.expect("421 4.5.0")
			p.goneSoon()
		}
	}
	p := w.dial()
	p.envelope("EHLO", "c@example.net")
	p.send(fmt.Sprintf("BDAT 0\r\nBDAT %d\r\n%sBDAT 0 LAST\r\n", len(text), text))
	p.expect("250 ")
	p.expect("250 ")
	p.expect("250 2.0.0 OK")
	if got := fmt.Sprint(w.sink.Recipients()); got != "[c@example.net]" {
		t.Errorf("delivered %s", got)
	}
}
