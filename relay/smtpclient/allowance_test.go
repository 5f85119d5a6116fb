package smtpclient

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/smime/message"
)

// hourglass is a clock that a server moves.
type hourglass struct{ minutes atomic.Int64 }

func (c *hourglass) now() time.Time { return time.Unix(c.minutes.Load()*60, 0) }

// slow returns the answers of a server that takes so many minutes for a command; "" is the
// usual one.
func (c *hourglass) slow(minutes map[string]int64, answers map[string]string) func(int, string) string {
	return func(_ int, line string) string {
		verb, _, _ := strings.Cut(line, " ")
		c.minutes.Add(minutes[verb])
		return answers[verb]
	}
}

// A server that answers each command just in time does not hold an attempt for hours, and no
// other server is asked then. What it has is waited for.
func TestAttempt(t *testing.T) {
	for name, tc := range map[string]struct {
		minutes    map[string]int64
		attempt    time.Duration
		lmtp       bool
		recipients int
		want       string
		commands   int // at most
	}{
		"fast":                  {map[string]int64{"MAIL": 4, "RCPT": 4, "DATA": 1}, time.Hour, false, 5, "ok", 10},
		"slow":                  {map[string]int64{"MAIL": 4, "RCPT": 4}, time.Hour, false, 50, "451 4.4.1", 18},
		"slow, no limit":        {map[string]int64{"MAIL": 4, "RCPT": 4}, 0, false, 50, "ok", 60},
		"slow before":           {map[string]int64{"EHLO": 61}, time.Hour, false, 1, "451 4.4.1", 1},
		"slow to begin":         {map[string]int64{"DATA": 61}, time.Hour, false, 1, "451 4.4.1", 4},
		"slow to take it":       {map[string]int64{"RCPT": 4, ".": 59}, time.Hour, false, 5, "ok", 10},
		"slow to take it, LMTP": {map[string]int64{"RCPT": 4, ".": 59}, time.Hour, true, 5, "ok", 10},
		"too slow to take it":   {map[string]int64{".": 61}, time.Hour, true, 2, "ok, 451 4.4.1|451 4.4.1", 10}, // the first may be waited for before the clock moves
	} {
		var clock hourglass
		s := &server{t: t, answer: clock.slow(tc.minutes, map[string]string{".": strings.Repeat("\r\n250 2.1.5 ok", answers(tc.lmtp, tc.recipients))[2:]})}
		other := &server{t: t}
		second := other.start(setup{})
		c := s.start(setup{Config: Config{Attempt: tc.attempt, Clock: clock.now, LMTP: tc.lmtp}})
		var to []string
		for i := range tc.recipients {
			to = append(to, fmt.Sprintf("b%d@example.net", i))
		}
		tr := NewTransfer(delivery(t, text, "a@example.org", to...))
		c.Client.Deliver(t.Context(), c.host, tr)
		if tr.Open() {
			before, _ := tr.Results()
			before = slices.Clone(before)
			c.Client.Deliver(t.Context(), second.host, tr)
			if after, _ := tr.Results(); !slices.Equal(after, before) {
				t.Errorf("%s: %v, which is of a server that was not asked, instead of %v", name, after, before)
			}
		}
		got := codes(tr.Results())
		if !slices.ContainsFunc(strings.Split(tc.want, "|"), func(want string) bool {
			return got == want || got == strings.Repeat(", "+want, tc.recipients)[2:]
		}) || len(s.commands("")) > tc.commands || other.connections() > 0 {
			t.Errorf("%s: %s after %d commands, and %d connections to the next", name, got, len(s.commands("")), other.connections())
		}
	}
}

// answers is how many answers a message gets.
func answers(lmtp bool, recipients int) int {
	if lmtp {
		return recipients
	}
	return 1
}

// A large message has more time.
func TestAttemptOfALargeMessage(t *testing.T) {
	m, err := message.Parse([]byte("Subject: x\r\n\r\n" + strings.Repeat("x\r\n", 1<<20)))
	if err != nil {
		t.Fatal(err)
	}
	tr := &Transfer{head: m.Header(), body: m.Body()}
	tr.begin(&Config{Attempt: time.Hour, Clock: time.Now})
	if got, want := tr.allowance.lasts, time.Hour+768*time.Second; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A handshake that the limit cuts off says nothing of the server's TLS: it is not reported as
// broken, and the message does not go in the clear instead.
func TestAttemptEndsInHandshake(t *testing.T) {
	for _, mode := range []string{"opportunistic", "require"} {
		var clock hourglass
		var begun atomic.Bool
		s := &server{t: t, offers: "STARTTLS", answer: func(_ int, line string) string {
			switch {
			case line == "STARTTLS":
				begun.Store(true)
				return "220 go"
			case begun.Load():
				clock.minutes.Add(61) // it is the client's part of the handshake
			}
			return ""
		}}
		reported := 0
		c := s.start(setup{TLS: mode, Config: Config{Attempt: time.Hour, Clock: clock.now, Opened: func(Host, bool, error) { reported++ }}})
		if got := codes(c.Deliver(t.Context(), delivery(t, text, "a@example.org", "b@example.net"))); got != "451 4.4.1" {
			t.Errorf("%s: %s", mode, got)
		}
		if s.connections() != 1 || reported != 0 {
			t.Errorf("%s: %d connections, %d reports", mode, s.connections(), reported)
		}
	}
}
