package smtpclient

import (
	"fmt"
	"strings"
	"testing"
)

// What a hop announces by LIMITS (RFC 9422) is kept, and everybody gets the message.
func TestLimitsOfTheHop(t *testing.T) {
	to := []string{"a@one.example", "b@two.example", "c@one.example", "d@three.example", "e@two.example"}
	for offers, want := range map[string]string{
		"":                                      "1: a b c d e",
		"LIMITS RCPTMAX=2":                      "1: a b, 1: c d, 1: e",
		"LIMITS rcptmax=2 MAILMAX=2 FUTURE=x":   "1: a b, 1: c d, 2: e",
		"LIMITS RCPTMAX=1 MAILMAX=1":            "1: a, 2: b, 3: c, 4: d, 5: e",
		"LIMITS RCPTDOMAINMAX=1":                "1: a c, 2: b e, 3: d",
		"LIMITS RCPTDOMAINMAX=2":                "1: a b c e, 2: d",
		"LIMITS RCPTDOMAINMAX=2 RCPTMAX=2":      "1: a b, 1: c e, 2: d",
		"LIMITS RCPTMAX=0 MAILMAX=x RCPTMAX=-1": "1: a b c d e",
		"LIMITS RCPTMAX=1000000 MAILMAX":        "1: a b c d e",
	} {
		for _, more := range []string{"", "PIPELINING"} {
			var got []string
			s := &server{t: t, offers: strings.Trim(offers+", "+more, ", ")}
			s.answer = func(conn int, line string) string {
				if strings.HasPrefix(line, "MAIL") {
					got = append(got, fmt.Sprintf("%d:", conn))
				}
				if name, ok := strings.CutPrefix(line, "RCPT TO:<"); ok {
					got[len(got)-1] += " " + name[:1]
				}
				return ""
			}
			c := s.start(setup{})
			if r := codes(c.Deliver(t.Context(), delivery(t, text, "s@example.org", to...))); r != "ok, ok, ok, ok, ok" {
				t.Errorf("%q: results %s", s.offers, r)
			}
			if r := strings.Join(got, ", "); r != want {
				t.Errorf("%q: %s, want %s", s.offers, r, want)
			}
		}
	}
}

// The domains of a session are those of all its messages.
func TestDomainsOfASession(t *testing.T) {
	s := &server{t: t, offers: "LIMITS RCPTDOMAINMAX=1"}
	c := s.start(setup{})
	for i, to := range []string{"a@one.example", "b@one.example", "a@two.example", "b@two.example"} {
		if r := codes(c.Deliver(t.Context(), delivery(t, text, "s@example.org", to))); r != "ok" {
			t.Errorf("%s: %s", to, r)
		}
		if want := 1 + i/2; s.connections() != want {
			t.Errorf("%s: %d connections, want %d", to, s.connections(), want)
		}
	}
}
