package milter

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

const text = "From: a@example.org\r\nSubject:  folded\r\n\tvalue \r\nX-Empty:\r\nTo: b@example.net\r\n\r\nhello\r\n.\r\n"

type process = func(context.Context, *relay.Envelope, *message.Message) (*answer.Outcome, error)

// replaced hands on one copy with another text.
func replaced(t *testing.T, text string) process {
	m := wiretest.Message(t, text)
	return func(_ context.Context, env *relay.Envelope, _ *message.Message) (*answer.Outcome, error) {
		return wiretest.Pass(env, m), nil
	}
}

func TestUntouched(t *testing.T) {
	w := start(t, Config{})
	m := w.dial()
	m.mail("a@example.org")
	if got := m.rcpt("b@example.net"); got != "c" {
		t.Fatalf("recipient answered with %q", got)
	}
	if got := m.message(text); got != "a" {
		t.Errorf("answer %q", got)
	}
	if got := m.text(); got != text {
		t.Errorf("message %q", got)
	}
	seen := w.handler.Seen()
	if len(seen) != 1 || seen[0].Text != text {
		t.Fatalf("the handler saw %+v", seen)
	}
	env := seen[0].Envelope
	if env.QueueID != "4XYZ" || env.Client.User != "alice" || !env.Client.TLS || env.Client.Helo != "helo.example.org" ||
		env.Client.Addr.String() != "192.0.2.1" || env.Listener != "door" || env.Sender.String() != "a@example.org" {
		t.Errorf("envelope %+v", env)
	}
}

// What the sender wishes about reports survives, on the message it belongs to.
func TestParameters(t *testing.T) {
	w := start(t, Config{})
	m := w.dial()
	m.send('M', "<a@example.org>\x00RET=HDRS\x00ENVID=e1\x00SMTPUTF8\x00REQUIRETLS\x00")
	m.send('R', "<b@example.net>\x00NOTIFY=NEVER\x00ORCPT=rfc822;o@example.net\x00")
	m.receive()
	m.send('R', "<c@example.net>\x00")
	m.receive()
	m.message(text)
	m.mail("a@example.org")
	m.rcpt("b@example.net")
	m.message(text)
	for i, want := range []string{"{e1 HDRS true true} [NEVER] rfc822 o@example.net", "{  false false} []  "} {
		env := w.handler.Seen()[i].Envelope
		r := env.Recipients[0]
		if got := fmt.Sprintf("%v %v %s %s", env.Params, r.Notify, r.OriginalType, r.Original); got != want {
			t.Errorf("message %d: %s, want %s", i, got, want)
		}
		if len(env.Recipients) > 1 && env.Recipients[1].Notify != nil {
			t.Errorf("message %d: recipient %+v", i, env.Recipients[1])
		}
	}
}

// The copies that leave by our queue bear our trace; one in a loop is refused.
func TestTrace(t *testing.T) {
	w := start(t, Config{
		Handler: &wiretest.Handler{OnProcess: outcome(t, wiretest.Message(t, text))},
		Clock:   func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) },
	})
	m := w.dial()
	m.mail("a@example.org")
	m.rcpt("o@e.net")
	m.rcpt("x@e.net")
	if got := m.message(text); got != "d" {
		t.Fatalf("answer %q", got)
	}
	const field = "Received: from helo.example.org ([192.0.2.1])\r\n\tby mail.example.com (smimerelay) with ESMTPSA id 4XYZ;\r\n\tFri, 2 Jan 2026 03:04:05 +0000\r\n"
	for _, d := range w.sink.All() {
		if got := string(d.Message.Bytes()); got != field+text {
			t.Errorf("queued %q", got)
		}
	}
	m.mail("a@example.org")
	m.rcpt("x@e.net")
	if got := m.message(strings.Repeat("Received: x\r\n", 51) + text); !strings.HasPrefix(got, "y554 5.4.6") {
		t.Errorf("answer %q", got)
	}
}

// The same with an MTA that wants an answer to everything, takes the leading
// space, and offers no list of macros.
func TestOldMTA(t *testing.T) {
	w := start(t, Config{Handler: &wiretest.Handler{OnProcess: replaced(t, "From: a@example.org\r\nNew: x\r\n\r\nnew\r\n")}})
	m := w.dialOffering(0x3f, 0x7f)
	m.mail("a@example.org")
	m.rcpt("b@example.net")
	if got := m.message(text); got != "a" {
		t.Errorf("answer %q", got)
	}
	if got := m.text(); got != "From: a@example.org\r\nNew: x\r\n\r\nnew\r\n" {
		t.Errorf("message %q", got)
	}
}

func TestEdited(t *testing.T) {
	for _, now := range []string{
		"From: a@example.org\r\nSubject:  folded\r\n\tvalue \r\nX-Empty:\r\nTo: b@example.net\r\n\r\nother\r\n",
		"MIME-Version: 1.0\r\nFrom: a@example.org\r\nX: 1\r\nX: 2\r\nTo: b@example.net\r\nX: 3\r\n\r\nhello\r\n.\r\n",
		"To: b@example.net\r\nFrom: a@example.org\r\n\r\n",
		"X-Empty:\r\nx-empty: \r\nX-Empty:\r\n\r\nhello\r\n.\r\n",
		"Content-Type: multipart/signed;\r\n boundary=x;\r\n\tmicalg=sha-256\r\nSubject:\r\n =?utf-8?q?x?=\r\n\r\n" + strings.Repeat("0123456789abcdef\r\n", 20_000),
	} {
		w := start(t, Config{Handler: &wiretest.Handler{OnProcess: replaced(t, now)}})
		m := w.dial()
		for range 2 { // two messages on one connection
			m.mail("a@example.org")
			m.rcpt("b@example.net")
			if got := m.message(text); got != "a" {
				t.Errorf("answer %q", got)
			}
			if got := m.text(); got != now {
				t.Errorf("message %.200q, want %.200q", got, now)
			}
		}
	}
}

// A recipient that is refused leaves the sender and the others alone.
func TestRecipientRefused(t *testing.T) {
	w := start(t, Config{Handler: &wiretest.Handler{OnRecipient: func(env *relay.Envelope, r relay.Recipient) error {
		if r.Address.Local() == "no" {
			return fault.New(fault.Policy, "100% no\r\ncertificate", nil)
		}
		return nil
	}}})
	m := w.dial()
	m.mail("a@example.org")
	m.rcpt("b@example.net")
	if got := m.rcpt("no@example.net"); !strings.HasPrefix(got, "y550 5.7.1 100%% no  certificate (id ") {
		t.Errorf("answer %q", got)
	}
	if got := m.rcpt("b\x01@example.net"); !strings.HasPrefix(got, "y553 5.1.3") {
		t.Errorf("answer %q", got)
	}
	m.rcpt("c@example.net")
	if got := m.message(text); got != "a" {
		t.Errorf("answer %q", got)
	}
	env := w.handler.Seen()[0].Envelope
	if env.Sender.String() != "a@example.org" || len(env.Recipients) != 2 {
		t.Errorf("envelope %+v", env)
	}
}

// outcome: r is refused, t refused for now, s stripped, h held; the rest share one
// copy, but for those beginning with o, who get one of their own.
func outcome(t *testing.T, now *message.Message) process {
	return func(_ context.Context, env *relay.Envelope, m *message.Message) (*answer.Outcome, error) {
		o := &answer.Outcome{}
		shared := wiretest.Copy(env, now)
		for _, r := range env.Recipients {
			if r.Address.Local() == "group" { // of one: x
				member := relay.Recipient{Address: wiretest.Address(t, "x@e.net")}
				o.Expanded = []answer.Expansion{{Group: r.Address, Members: []address.Address{member.Address}}}
				r = member
			}
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
			case 'n':
				o.ByNextHop = true
				shared.Recipients = append(shared.Recipients, r)
			case 'o':
				o.Deliveries = append(o.Deliveries, wiretest.Copy(env, m, r))
			default:
				shared.Recipients = append(shared.Recipients, r)
			}
		}
		if len(shared.Recipients) > 0 {
			o.Deliveries = append(o.Deliveries, shared)
		}
		if len(o.Stripped) > 0 || o.Held != nil {
			o.Notices = []relay.Delivery{wiretest.Notice(t, "a@example.org")}
		}
		return o, nil
	}
}

func TestOutcomes(t *testing.T) {
	const now = "Subject: now\r\n\r\nnow\r\n"
	for _, tc := range []struct {
		to, want, stay, queued string
	}{
		{"x y", "a", "[x@e.net y@e.net]", "[]"},
		{"x r y", "a", "[x@e.net y@e.net]", "[report@example.org]"},
		{"r x s", "a", "[x@e.net]", "[a@example.org report@example.org]"},
		{"o", "a", "[o@e.net]", "[]"},
		{"n", "d", "", "[n@e.net]"},
		{"x n", "d", "", "[x@e.net n@e.net]"},
		{"o x", "d", "", "[o@e.net x@e.net]"},
		{"o o2 s r", "d", "", "[o@e.net o2@e.net a@example.org report@example.org]"},
		{"x h", "d", "", "[x@e.net a@example.org] [h@e.net]"}, // never edited beside a hold
		{"h", "d", "", "[a@example.org] [h@e.net]"},
		{"h r", "d", "", "[a@example.org report@example.org] [h@e.net]"},
		{"h t", "y451 4.4.3 no answer", "", "[]"},
		{"group", "d", "", "[x@e.net]"},
		{"group y", "d", "", "[x@e.net y@e.net]"},
		{"group r", "d", "", "[x@e.net report@example.org]"},
		{"group t", "y451 4.4.3 no answer", "", "[]"},
		{"x t", "y451 4.4.3 no answer", "", "[]"},
		{"o x t", "y451 4.4.3 no answer", "", "[]"},
		{"r", "y550 5.7.1 no certificate", "", "[]"},
		{"s", "y550 5.7.1 all recipients rejected by policy: <s@e.net>", "", "[]"},
	} {
		t.Run(tc.to, func(t *testing.T) {
			w := start(t, Config{Handler: &wiretest.Handler{
				OnProcess: outcome(t, wiretest.Message(t, now)),
				OnReport: func(relay.Delivery, relay.Event) (relay.Delivery, bool, error) {
					return wiretest.Notice(t, "report@example.org"), true, nil
				},
			}})
			m := w.dial()
			m.mail("a@example.org")
			for to := range strings.FieldsSeq(tc.to) {
				m.rcpt(to + "@e.net")
			}
			if got, _, _ := strings.Cut(m.message(text), " (id "); got != tc.want {
				t.Errorf("answer %q, want %q", got, tc.want)
			}
			if got := fmt.Sprint(m.recipients); tc.want == "a" && got != tc.stay {
				t.Errorf("the MTA keeps %s, want %s", got, tc.stay)
			}
			if tc.want != "a" && m.text() != text {
				t.Errorf("edited, and answered %q", tc.want)
			}
			if got := fmt.Sprint(w.sink.Recipients(), " ", w.sink.HeldRecipients()); got != tc.queued && got != tc.queued+" []" {
				t.Errorf("queued %s, want %s", got, tc.queued)
			}
			for _, h := range w.sink.Held() {
				if m := string(h.Message.Bytes()); !strings.HasPrefix(m, "Received: from ") || !strings.HasSuffix(m, text) {
					t.Errorf("held as %q", m)
				}
			}
		})
	}
}

// An MTA deletes a recipient only by the very octets it gave, every spelling of
// it.
func TestDeletedBySpelling(t *testing.T) {
	w := start(t, Config{Handler: &wiretest.Handler{OnProcess: outcome(t, wiretest.Message(t, text))}})
	m := w.dial()
	m.mail("a@example.org")
	for _, to := range []string{"x@e.net", `"r x"@E.net`, `"r\ x"@e.NET`, "Rob@e.net", "rob@e.net", "X@e.net", "x@E.NET"} {
		if got := m.rcpt(to); got != "c" {
			t.Fatalf("%s: %s", to, got)
		}
	}
	if got := m.message(text); got != "a" {
		t.Errorf("answer %q", got)
	}
	if got := fmt.Sprint(m.recipients); got != "[x@e.net Rob@e.net X@e.net x@E.NET]" {
		t.Errorf("the MTA keeps %s", got)
	}
}

// RFC 5321 section 4.5.1: Postmaster comes without a domain.
func TestWithoutDomain(t *testing.T) {
	w := start(t, Config{})
	m := w.dial()
	m.mail("")
	m.rcpt("postmaster")
	if got := m.message(text); got != "a" {
		t.Errorf("answer %q", got)
	}
	env := w.handler.Seen()[0].Envelope
	if !env.Sender.IsNull() || env.Recipients[0].Address.String() != "postmaster@mail.example.com" {
		t.Errorf("envelope %+v", env)
	}
}

func TestAbort(t *testing.T) {
	w := start(t, Config{Memory: relay.NewMemory(300_000)})
	m := w.dial()
	for range 5 {
		m.mail("a@example.org")
		m.rcpt("b@example.net")
		m.content(text)
		m.send('A', "")
	}
	m.mail("c@example.org")
	m.rcpt("d@example.net")
	if got := m.message(text); got != "a" {
		t.Errorf("answer %q", got)
	}
	seen := w.handler.Seen()
	if len(seen) != 1 || seen[0].Envelope.Sender.String() != "c@example.org" || len(seen[0].Envelope.Recipients) != 1 || seen[0].Text != text {
		t.Errorf("the handler saw %+v", seen)
	}
	if c := seen[0].Envelope.Client; c.Helo != "helo.example.org" || !c.TLS {
		t.Errorf("the second message does not know the client: %+v", c)
	}
}

// A chunk may come with the end of the body.
func TestChunkAtTheEnd(t *testing.T) {
	for _, steps := range []uint32{allSteps, 0} {
		w := start(t, Config{})
		m := w.dialOffering(0x1ff, steps)
		for range 2 {
			m.mail("a@example.org")
			m.rcpt("b@example.net")
			m.content("Subject: x\r\n\r\n")
			m.send('E', "the body\r\n")
			if got := m.verdict(); got != "a" {
				t.Errorf("answer %q", got)
			}
		}
		for _, s := range w.handler.Seen() {
			if s.Text != "Subject: x\r\n\r\nthe body\r\n" {
				t.Errorf("the handler saw %q", s.Text)
			}
		}
	}
}

// shared is a budget of which other messages have most.
func shared(octets int64) *relay.Memory {
	m := relay.NewMemory(octets)
	m.Share().Reserve(octets * 3 / 4)
	return m
}

func TestRefusals(t *testing.T) {
	for _, tc := range []struct {
		name, text, want string
		config           Config
	}{
		{"size", text, "y552 5.3.4", Config{Limits: Limits{MessageSize: len(text) - 1}}},
		{"memory", text + strings.Repeat("x\r\n", 100_000), "y452 4.3.1", Config{Memory: shared(2_000_000)}},
		{"memory for ever", text + strings.Repeat("x\r\n", 100_000), "y552 5.3.4", Config{Memory: relay.NewMemory(500_000)}},
		{"panic", text, "y451 4.3.0", Config{Handler: &wiretest.Handler{OnProcess: func(context.Context, *relay.Envelope, *message.Message) (*answer.Outcome, error) {
			panic("oh")
		}}}},
		{"queue", text, "y452 4.3.1", Config{
			Handler: &wiretest.Handler{OnProcess: func(_ context.Context, env *relay.Envelope, m *message.Message) (*answer.Outcome, error) {
				o := wiretest.Pass(env, m)
				o.Notices = []relay.Delivery{wiretest.Notice(t, "a@example.org")}
				return o, nil
			}},
			Queue: &wiretest.Sink{OnPut: func([]relay.Delivery) error { return fault.New(fault.Capacity, "full", nil) }},
		}},
		{"outcome", text, "y451 4.3.0", Config{Handler: &wiretest.Handler{OnProcess: func(context.Context, *relay.Envelope, *message.Message) (*answer.Outcome, error) {
			return &answer.Outcome{}, nil
		}}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := start(t, tc.config)
			m := w.dial()
			m.mail("a@example.org")
			m.rcpt("b@example.net")
			if got := m.message(tc.text); !strings.HasPrefix(got, tc.want) {
				t.Errorf("answer %q, want %q", got, tc.want)
			}
			if m.text() != tc.text {
				t.Error("edited and refused")
			}
		})
	}
}

func TestTooManyRecipients(t *testing.T) {
	w := start(t, Config{Limits: Limits{Recipients: 1}})
	m := w.dial()
	m.mail("a@example.org")
	m.rcpt("b@example.net")
	if got := m.rcpt("c@example.net"); !strings.HasPrefix(got, "y452 4.5.3") {
		t.Errorf("answer %q", got)
	}
}

func TestBadSender(t *testing.T) {
	w := start(t, Config{})
	m := w.dial()
	m.mail("a b@example.org")
	if got := m.rcpt("b@example.net"); !strings.HasPrefix(got, "y553 5.1.3") {
		t.Errorf("answer %q", got)
	}
}

func TestNegotiationRefused(t *testing.T) {
	for _, offer := range []string{
		"\x00\x00\x00\x06\x00\x00\x00\x01\x00\x1f\xff\xff", // may add header fields only
		"",
	} {
		w := start(t, Config{})
		m := newMTA(t, wiretest.Dial(t, w.addr))
		m.send('O', offer)
		m.send('D', "padding of the offer")
		m.gone()
	}
}

func TestShutdown(t *testing.T) {
	started, release := make(chan struct{}), make(chan struct{})
	w := start(t, Config{Handler: &wiretest.Handler{OnProcess: func(_ context.Context, env *relay.Envelope, m *message.Message) (*answer.Outcome, error) {
		close(started)
		<-release
		return wiretest.Pass(env, m), nil
	}}})
	idle, busy := w.dial(), w.dial()
	busy.mail("a@example.org")
	busy.rcpt("b@example.net")
	busy.content(text)
	busy.send('E', "")
	<-started
	done := make(chan error, 1)
	go func() { done <- w.server.Shutdown(context.Background()) }()
	idle.gone()
	close(release)
	if got := busy.verdict(); got != "a" {
		t.Errorf("answer %q", got)
	}
	busy.gone()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
