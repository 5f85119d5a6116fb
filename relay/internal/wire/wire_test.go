package wire

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/guard"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/address"
)

// The words are those of RFC 3848 and RFC 6531 section 4.3, and no others.
func TestProtocol(t *testing.T) {
	for want, tc := range map[string]struct {
		base            string
		utf8, tls, auth bool
	}{
		"SMTP": {"SMTP", false, false, false}, " SMTP": {"SMTP", false, true, true},
		"ESMTP": {"ESMTP", false, false, false}, "ESMTPS": {"ESMTP", false, true, false},
		"ESMTPA": {"ESMTP", false, false, true}, "ESMTPSA": {"ESMTP", false, true, true},
		"LMTP": {"LMTP", false, false, false}, "LMTPS": {"LMTP", false, true, false},
		"LMTPA": {"LMTP", false, false, true}, "LMTPSA": {"LMTP", false, true, true},
		"UTF8SMTP": {"ESMTP", true, false, false}, "UTF8SMTPS": {"ESMTP", true, true, false},
		"UTF8SMTPA": {"ESMTP", true, false, true}, "UTF8SMTPSA": {"ESMTP", true, true, true},
		"UTF8LMTP": {"LMTP", true, false, false}, "UTF8LMTPS": {"LMTP", true, true, false},
		"UTF8LMTPA": {"LMTP", true, false, true}, "UTF8LMTPSA": {"LMTP", true, true, true},
		" UTF8SMTPS": {"SMTP", true, true, false},
	} {
		env := &relay.Envelope{Client: relay.Client{TLS: tc.tls}, Params: relay.MailParams{SMTPUTF8: tc.utf8}}
		if got := Protocol(env, tc.base, tc.auth); got != strings.TrimSpace(want) {
			t.Errorf("%+v: %s, want %s", tc, got, want)
		}
	}
}

func TestReply(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want string
	}{
		{errors.New("secret"), "451 [4 3 0] internal error, try again later"},
		{fault.New(fault.Policy, "no\r\n\tway \x00é", nil), `550 [5 7 1] no   way ?\u00e9`},
		{fault.New(fault.Policy, "issued for \"müller@x.example\", not for \"møller@x.example\"\xff", nil),
			`550 [5 7 1] issued for "m\u00fcller@x.example", not for "m\u00f8ller@x.example"?`},
		{fault.New(fault.Policy, " ", nil), "550 [5 7 1] no reason given"},
		{&fault.Error{Reply: fault.Reply{Code: 550, Enhanced: [3]int{4, 2, 0}, Text: "x"}}, "550 [5 0 0] x"},
		{&fault.Error{Reply: fault.Reply{Code: 250, Enhanced: [3]int{2, 0, 0}, Text: "x"}}, "451 [4 3 0] x"},
		{&fault.Error{Reply: fault.Reply{Code: 999, Text: "x"}}, "451 [4 3 0] x"},
	} {
		r := Reply(tc.err)
		if got := fmt.Sprintf("%d %v %s", r.Code, r.Enhanced, r.Text); got != tc.want {
			t.Errorf("%v: %q, want %q", tc.err, got, tc.want)
		}
	}
	if r := Reply(fault.New(fault.Policy, strings.Repeat("x", 10_000), nil)); len(r.Text) > 490 {
		t.Errorf("text of %d octets", len(r.Text))
	}
}

// Whom to ask and the id stand whole behind the text, however long it is.
func TestAnswer(t *testing.T) {
	const contact, end = "https://help.example", " (help: https://help.example) (id 4cWq3Y)"
	long := fault.New(fault.TooLarge, strings.Repeat("x", 10_000), nil)
	for _, tc := range []struct {
		err     error
		id, end string
	}{
		{fault.New(fault.Policy, "no", nil), "4cWq3Y", "no" + end},
		{fault.New(fault.Policy, "no", nil), "", "no (help: https://help.example)"},
		{fault.New(fault.Policy, "no, see 4cWq3Y", nil), "4cWq3Y", "no, see 4cWq3Y (help: https://help.example)"},
		{errors.New("x"), "4cWq3Y", "internal error, try again later (id 4cWq3Y)"},
		{long, "4cWq3Y", "..." + end},
	} {
		r := Answer(tc.err, contact, tc.id)
		if !strings.HasSuffix(r.Text, tc.end) || len(r.Text) > 490 || tc.err != error(long) && r.Text != tc.end {
			t.Errorf("%v: %q, want %q", tc.err, r.Text, tc.end)
		}
	}
}

// Whatever is written, a collector holds no more than its limit, the budget
// covers what it holds, and all of it comes back.
func TestCollector(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := int64(30 * step)
		budget := relay.NewMemory(total)
		limit := rapid.IntRange(0, 8*step).Draw(t, "limit")
		other := rapid.Int64Range(0, total).Draw(t, "taken by others")
		if !budget.Share().Reserve(other) {
			t.Fatal("an empty budget is full")
		}
		c := NewCollector(limit, budget)
		var want []byte
		for i, n := range rapid.SliceOfN(rapid.IntRange(0, 2*step), 0, 8).Draw(t, "writes") {
			p := []byte(strings.Repeat(string(rune('a'+i)), n))
			if m, err := c.Write(p); m != n || err != nil {
				t.Fatalf("wrote %d (%v)", m, err)
			}
			want = append(want, p...)
			for j := range p {
				p[j] = 0 // the caller's buffer is the caller's
			}
		}
		switch err := c.Err(); {
		case err == nil:
			if string(c.Bytes()) != string(want) || len(want) > limit || relay.MessageFactor*int64(len(want)) > total-other {
				t.Fatalf("%d octets of %d, limit %d, with %d of %d taken", len(c.Bytes()), len(want), limit, other, total)
			}
			if budget.Share().Reserve(total - other - relay.MessageFactor*int64(len(want)) + 1) {
				t.Fatalf("%d octets are not covered", len(want))
			}
		case fault.Of(err).Kind == fault.TooLarge:
			if len(want) <= limit {
				t.Fatalf("%d octets are too large for %d", len(want), limit)
			}
		case fault.Of(err).Kind == fault.Capacity:
			if relay.MessageFactor*(int64(len(want))+step) < total-other {
				t.Fatalf("no budget for %d octets with %d left", len(want), total-other)
			}
		default:
			t.Fatal(err)
		}
		c.Release()
		c.Release()
		if !budget.Share().Reserve(total - other) {
			t.Fatal("the budget did not come back")
		}
	})
}

// An error of a panic says nothing of its cause.
func TestGuard(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	err := Guard(log, "x", func() error { panic("secret") })
	if r := Reply(err); r.Code != 451 || strings.Contains(r.Text, "secret") {
		t.Errorf("reply %+v", r)
	}
	// By this the panics of a listener are counted as those of the gateway are.
	if !errors.Is(err, guard.ErrPanic) || !fault.Of(err).Logged {
		t.Errorf("got %#v", err)
	}
	if err := Guard(log, "x", func() error { return nil }); err != nil {
		t.Error(err)
	}
}

// waiter is a Conn that runs until it is closed.
type waiter struct {
	net.Conn
	once    sync.Once
	closed  chan struct{}
	drained chan struct{}
}

func newWaiter(nc net.Conn) *waiter {
	return &waiter{Conn: nc, closed: make(chan struct{}), drained: make(chan struct{})}
}

func (w *waiter) Run()   { <-w.closed }
func (w *waiter) Drain() { close(w.drained) }
func (w *waiter) Close() error {
	w.once.Do(func() { close(w.closed) })
	return w.Conn.Close()
}

func TestShutdown(t *testing.T) {
	conns := make(chan *waiter, 10)
	a := &Acceptor{Limits: Limits{Connections: 10}, New: func(nc net.Conn) Conn {
		w := newWaiter(nc)
		conns <- w
		return w
	}}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- a.Serve(ln) }()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	w := <-conns
	ctx, cancel := context.WithCancel(t.Context())
	down := make(chan error, 1)
	go func() { down <- a.Shutdown(ctx) }()
	<-w.drained
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("serve: %v", err)
	}
	select {
	case err := <-down:
		t.Fatalf("shut down over a connection that drains: %v", err)
	default:
	}
	cancel()
	if err := <-down; !errors.Is(err, context.Canceled) {
		t.Errorf("shutdown: %v", err)
	}
	<-w.closed
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Serve(other); !errors.Is(err, net.ErrClosed) {
		t.Errorf("serves after its end: %v", err)
	}
}

// Paths are read as Postfix reads them; what only an MTA can complete or route is
// no recipient.
func TestPaths(t *testing.T) {
	p := Paths{Host: "mx.example.com"}
	for in, want := range map[string]string{
		"": "", "<>": "", "<a@b.example>": "a@b.example", " < a@b.example > ": "a@b.example", "a@b.example": "a@b.example",
		"root": "root@mx.example.com", "@x.example,@y.example:a@b.example": "a@b.example", "<a..b@c.example.>": `"a..b"@c.example`,
	} {
		if a, err := p.Sender(in); err != nil || a.String() != want {
			t.Errorf("sender %q: %q, %v", in, a, err)
		}
	}
	for _, in := range []string{"root", "a%b.example", "b.example!a", "@x.example:a@b.example", "a@b@c.example"} {
		if _, err := p.Recipient(in); err == nil || Reply(err).Code != 550 || Reply(err).Enhanced != [3]int{5, 1, 3} {
			t.Errorf("recipient %q: %v", in, err)
		}
	}
	for _, in := range []string{"", "<>", `"a@b.example"`, "a@", "@b.example", "a b@c.example"} {
		if a, err := p.Recipient(in); err == nil || Reply(err).Code != 553 {
			t.Errorf("recipient %q: %q, %v", in, a, err)
		}
	}
	if a, err := p.Recipient("PostMaster"); err != nil || a.String() != "PostMaster@mx.example.com" {
		t.Errorf("%q, %v", a, err)
	}
	p.Postmaster, _ = address.Parse("hans@example.org")
	if a, err := p.Recipient("<postmaster>"); err != nil || a != p.Postmaster {
		t.Errorf("%q, %v", a, err)
	}
	p.AllowRouted = true
	for in, want := range map[string]string{"root": "root@mx.example.com", "@x.example:a@b.example": "a@b.example"} {
		if a, err := p.Recipient(in); err != nil || a.String() != want {
			t.Errorf("allowed %q: %q, %v", in, a, err)
		}
	}
}

func TestCutPath(t *testing.T) {
	for in, want := range map[string]string{
		"<a@b>": "<a@b>[]", "<a@b> X=1  Y": "<a@b>[X=1 Y]", "a@b X=1": "a@b[X=1]", `<"a> b"@c>X`: `<"a> b"@c>[X]`,
		`<"a\">"@c> X`: `<"a\">"@c>[X]`, `"a b"@c X`: `"a b"@c[X]`, "<>": "<>[]", "<> X": "<>[X]",
	} {
		path, args, err := CutPath(in)
		if got := path + fmt.Sprint(args); err != nil || got != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "<a@b", `<"a>`, `"a`, `<"a\">`} {
		if path, _, err := CutPath(in); err == nil {
			t.Errorf("%q: %q", in, path)
		}
	}
}
