package smtpclient

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
)

// whole is the BDAT by which the second part of text comes, after its first octet.
var whole = fmt.Sprintf("BDAT %d LAST", len(text)-1)

// A hop that breaks the rules in any way, at any point, has taken a message only where it has
// said so after its end. All else is to be tried again, and is not sent twice. With TLS, no
// command of a transaction leaves in the clear.
func TestBrokenHops(t *testing.T) {
	config, _, _ := wiretest.Certificate(t)
	for _, offers := range []string{"SIZE", "PIPELINING", "CHUNKING", "CHUNKING, PIPELINING"} {
		stages := []string{"", "EHLO", "MAIL", "RCPT TO:<b@", "RCPT TO:<c@", "DATA", "."}
		if strings.Contains(offers, "CHUNKING") {
			stages = []string{"MAIL", "RCPT TO:<b@", "RCPT TO:<c@", "BDAT 1", whole}
		}
		for _, stage := range append(stages, "STARTTLS") {
			for _, said := range []string{
				"!", "2!", "250-ok\r\n!", "250-ok\r\n251 ok", "250-ok\r\n550 no", "\x00", "\r\n", " ", "250ok", "2500 ok", "099 ok", "999 ok", "350 ok",
				"421 4.3.2 closing", "421 4.3.2 closing\r\n!", "250 " + strings.Repeat("x", 1<<17), "250-" + strings.Repeat("x\r\n250-", 5000),
			} {
				what := fmt.Sprintf("%s/%s/%.20q", offers, stage, said)
				t.Run(what, func(t *testing.T) { meetBrokenHop(t, nil, offers, stage, said) })
				t.Run(what+"/TLS", func(t *testing.T) { meetBrokenHop(t, config, offers, stage, said) })
			}
		}
	}
}

// meetBrokenHop delivers a message to a hop that says something odd at one stage.
func meetBrokenHop(t *testing.T, config *tls.Config, offers, stage, said string) {
	s := &server{t: t, offers: offers, answer: func(_ int, line string) string {
		if strings.HasPrefix(line, stage) && (stage != "" || line == "") {
			return said
		}
		return ""
	}}
	c := setup{Timeout: 10 * time.Second}
	if config != nil {
		s.offers, s.tls, c.TLS = offers+", STARTTLS", config, "encrypted"
	} else if stage == "STARTTLS" {
		return
	}
	got := codes(s.start(c).Deliver(t.Context(), delivery(t, text, "a@example.org", "b@example.net", "c@example.net")))
	s.mu.Lock()
	defer s.mu.Unlock()
	for result := range strings.SplitSeq(got, ", ") {
		// It has taken the message for the other recipient, or by DATA.
		taken := result == "ok" && len(s.data) == 1 && stage != "." && stage != whole
		if !taken && !strings.HasPrefix(result, "4") {
			t.Errorf("%s; the hop has %.200q", got, s.data)
		}
	}
	if len(s.data) > 1 {
		t.Errorf("%s; the hop has %d messages", got, len(s.data))
	}
}

// Replies may come in any pieces.
func TestRepliesInPieces(t *testing.T) {
	config, _, _ := wiretest.Certificate(t)
	for _, offers := range []string{"STARTTLS", "PIPELINING, STARTTLS", "CHUNKING, PIPELINING, STARTTLS"} {
		s := &server{t: t, offers: offers, tls: config, split: true, answer: script("RCPT TO:<b@", "550-5.1.1 no\r\n550 5.1.1 user", "RCPT", "250 \x00ok")}
		c := s.start(setup{TLS: "opportunistic"})
		for range 2 {
			if got := codes(c.Deliver(t.Context(), delivery(t, text, "a@example.org", "b@example.net", "c@example.net"))); got != "550 5.1.1, ok" {
				t.Errorf("%s: %s", offers, got)
			}
		}
		if s.connections() != 1 {
			t.Errorf("%s: %d connections", offers, s.connections())
		}
	}
}
