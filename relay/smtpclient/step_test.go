package smtpclient

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
	"github.com/smimerelay/smimerelay/relay"
)

// A reply that was not asked for would have the next ones taken for answers to something
// else: what is refused at the end of the message would count as taken.
func TestRepliesOutOfStep(t *testing.T) {
	for name, tc := range map[string]struct {
		offers string
		answer func(int, string) string
	}{
		"greeting":             {"", script("MAIL", "250 ok\r\n250 ok", ".", "554 5.6.0 no")},
		"recipient":            {"", script("RCPT", "250 ok\r\n354 go", ".", "554 5.6.0 no")},
		"data":                 {"", script("DATA", "354 go\r\n250 2.0.0 queued", ".", "554 5.6.0 no")},
		"data, with groups":    {"PIPELINING", script("DATA", "354 go\r\n250 2.0.0 queued", ".", "554 5.6.0 no")},
		"chunk":                {"CHUNKING, PIPELINING", script("BDAT 1", "250 ok\r\n250 2.0.0 queued", "BDAT", "554 5.6.0 no")},
		"EHLO, and then again": {"", script("EHLO", "250 hop\r\n250 ok", ".", "554 5.6.0 no")},
	} {
		s := &server{t: t, offers: tc.offers, answer: tc.answer}
		c := s.start(setup{})
		if got := codes(c.Deliver(t.Context(), delivery(t, text, "a@example.org", "b@example.net"))); got != "451 4.4.1" || len(s.data) > 0 {
			t.Errorf("%s: %s, the hop has %q", name, got, s.data)
		}
	}
}

// interrupted is a delivery of text with a line more; interject is called when half of it
// was given to the client to send.
func interrupted(t *testing.T, interject func(), to ...string) relay.Delivery {
	d := delivery(t, text+strings.Repeat("x", 500)+"\r\n", "a@example.org", to...)
	whole, reads := d.Message, 0
	d.Message, d.Stored = nil, &relay.Stored{
		Header: whole.Header(), Size: len(whole.Bytes()),
		Pieces: func(_ context.Context, each func([]byte) error) error {
			half := len(whole.Bytes()) / 2
			if err := each(whole.Bytes()[:half]); err != nil {
				return err
			}
			if reads++; reads > 1 { // the first is to find out what the message needs
				interject()
			}
			return each(whole.Bytes()[half:])
		},
	}
	return d
}

// ways are those by which a message goes out.
func ways(t *testing.T) map[string]func() (*server, setup) {
	config, _, _ := wiretest.Certificate(t)
	all := map[string]func() (*server, setup){}
	for _, offers := range []string{"SIZE", "PIPELINING", "CHUNKING", "CHUNKING, PIPELINING"} {
		all[offers] = func() (*server, setup) { return &server{t: t, offers: offers}, setup{} }
		all[offers+", TLS"] = func() (*server, setup) {
			return &server{t: t, offers: offers + ", STARTTLS", tls: config}, setup{TLS: "encrypted"}
		}
	}
	all["socket"] = func() (*server, setup) {
		return &server{t: t, offers: "SIZE"}, setup{Address: "unix:" + filepath.Join(t.TempDir(), "s")}
	}
	all["LMTP"] = func() (*server, setup) { return &server{t: t, offers: "PIPELINING"}, setup{Config: Config{LMTP: true}} }
	return all
}

// What a hop says while it gets the message is no answer to it: it does not get the end. A
// single refusal counts as what it is, as the hop has not waited for the end to refuse.
func TestRepliesToHalfAMessage(t *testing.T) {
	for name, way := range ways(t) {
		for said, want := range map[string]string{
			"250 2.0.0 queued":                     "451 4.4.1",
			"250-2.0.0 queued\r\n250 2.0.0 queued": "451 4.4.1",
			"354 go":                               "451 4.4.1",
			"250 2.0.0 queued\r\n554 5.6.0 no":     "451 4.4.1",
			"554 5.6.0 no\r\n250 2.0.0 queued":     "451 4.4.1",
			"25":                                   "451 4.4.1",
			"what?":                                "451 4.4.1",
			"250-2.0.0 queued":                     "451 4.4.1",
			"452 4.3.1 full":                       "452 4.3.1",
			"421 4.3.2 closing":                    "421 4.3.2",
			"552 5.3.4 too large\r\n421 4.3.2 closing":   "552 5.3.4",
			"421 4.3.2 closing\r\n421 4.3.2 closing":     "451 4.4.1",
			"552-5.3.4 a message\r\n552 5.3.4 too large": "552 5.3.4",
			strings.Repeat("250 ok\r\n", 2000):           "451 4.4.1",
			"250 " + strings.Repeat("x", 20000):          "451 4.4.1",
			strings.Repeat("250-x\r\n", 200) + "250 x":   "451 4.4.1",
		} {
			s, c := way()
			s.answer = script(".", "554 5.6.0 no", "BDAT 1", "250 ok", "BDAT", "554 5.6.0 no")
			cl := s.start(c)
			d := interrupted(t, func() { s.interject(said) }, "b@example.net")
			if got := codes(cl.Deliver(t.Context(), d)); got != want || len(s.data) > 0 || s.connections() != 1 {
				t.Errorf("%s: %.60q: %s, want %s; the hop has %q", name, said, got, want, s.data)
			}
			// The next message goes out by a new connection.
			s.mu.Lock()
			s.answer = nil
			s.mu.Unlock()
			if got := codes(cl.Deliver(t.Context(), delivery(t, text, "a@example.org", "b@example.net"))); got != "ok" || s.connections() != 2 {
				t.Errorf("%s: %.60q: then %s by connection %d", name, said, got, s.connections())
			}
		}
	}
}

// With LMTP a reply before the end may be about any of the recipients.
func TestRepliesToHalfAMessageByLMTP(t *testing.T) {
	for said, want := range map[string]string{
		"250 2.1.5 ok":                     "451 4.4.1, 451 4.4.1",
		"250 2.1.5 ok\r\n250 2.1.5 ok":     "451 4.4.1, 451 4.4.1",
		"550 5.2.2 full":                   "451 4.4.1, 451 4.4.1",
		"552 5.3.4 large\r\n552 5.3.4 too": "451 4.4.1, 451 4.4.1",
		"421 4.3.2 closing":                "421 4.3.2, 421 4.3.2",
	} {
		s := &server{t: t, offers: "PIPELINING", answer: script(".", "250 2.1.5 ok\r\n550 5.2.2 full")}
		c := s.start(setup{Config: Config{LMTP: true}})
		d := interrupted(t, func() { s.interject(said) }, "b@example.net", "c@example.net")
		if got := codes(c.Deliver(t.Context(), d)); got != want || len(s.data) > 0 {
			t.Errorf("%q: %s, want %s; the hop has %q", said, got, want, s.data)
		}
	}
}

// A hop that closes while it gets the message does not have it.
func TestClosedAtHalfAMessage(t *testing.T) {
	for name, way := range ways(t) {
		s, c := way()
		cl := s.start(c)
		d := interrupted(t, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.last.Close()
		}, "b@example.net")
		if got := codes(cl.Deliver(t.Context(), d)); got != "451 4.4.1" || len(s.data) > 0 {
			t.Errorf("%s: %s; the hop has %q", name, got, s.data)
		}
	}
}

// Where more replies come than answers to the message, it is not known which are answers. It
// counts as not taken, unless all say the same. 421 may come at any time.
func TestMoreRepliesThanAnswers(t *testing.T) {
	for name, way := range ways(t) {
		for said, want := range map[string]string{
			"250 2.0.0 queued\r\n554 5.6.0 no":                      "451 4.4.1",
			"554 5.6.0 no\r\n250 2.0.0 queued":                      "451 4.4.1",
			"250 2.0.0 queued\r\n250 ok\r\n451 4.3.0 no":            "451 4.4.1",
			"250 2.0.0 queued\r\nwhat?":                             "451 4.4.1",
			"250 2.0.0 queued\r\n25":                                "451 4.4.1",
			"354 go\r\n250 2.0.0 queued":                            "451 4.4.1",
			"250 2.0.0 queued\r\n250 again":                         "ok",
			"250 2.0.0 queued\r\n421 4.3.2 closing":                 "ok",
			"250 2.0.0 queued\r\n250 again\r\n421 4.3.2 closing":    "ok",
			"554 5.6.0 no\r\n554 5.6.0 no":                          "554 5.6.0",
			"554 5.6.0 no\r\n421 4.3.2 closing":                     "554 5.6.0",
			"452 4.3.1 full\r\n421 4.3.2 closing\r\n451 4.3.0 full": "452 4.3.1",
		} {
			s, c := way()
			s.answer = script(".", said, "BDAT 1", "250 ok", "BDAT", said)
			cl := s.start(c)
			if got := codes(cl.Deliver(t.Context(), delivery(t, text+strings.Repeat("x\r\n", 100), "a@example.org", "b@example.net"))); got != want {
				t.Errorf("%s: %q: %s, want %s", name, said, got, want)
			}
			s.mu.Lock()
			s.answer = nil
			s.mu.Unlock()
			if got := codes(cl.Deliver(t.Context(), delivery(t, text, "a@example.org", "b@example.net"))); got != "ok" || s.connections() != 2 {
				t.Errorf("%s: %q: then %s by connection %d", name, said, got, s.connections())
			}
		}
	}
}

// With LMTP one reply too many shifts the answers of all recipients.
func TestMoreRepliesThanRecipients(t *testing.T) {
	for said, want := range map[string]string{
		"250 2.1.5 ok\r\n550 5.2.2 full":                                    "ok, 550 5.2.2",
		"250 2.1.5 ok\r\n250 2.1.5 ok\r\n550 5.2.2 full":                    "451 4.4.1, 451 4.4.1",
		"550 5.2.2 full\r\n250 2.1.5 ok\r\n250 2.1.5 ok":                    "451 4.4.1, 451 4.4.1",
		"250 2.1.5 ok\r\n250 2.1.5 ok\r\n250 2.1.5 ok":                      "ok, ok",
		"250 2.1.5 ok\r\n550 5.2.2 full\r\n421 4.3.2 closing":               "ok, 550 5.2.2",
		"250 2.1.5 ok\r\n550 5.2.2 full\r\n421 4.3.2 bye\r\n550 5.2.2 full": "451 4.4.1, 451 4.4.1",
	} {
		s := &server{t: t, offers: "PIPELINING", answer: script(".", said)}
		c := s.start(setup{Config: Config{LMTP: true}})
		if got := codes(c.Deliver(t.Context(), delivery(t, text, "a@example.org", "b@example.net", "c@example.net"))); got != want {
			t.Errorf("%q: %s, want %s", said, got, want)
		}
	}
}

// A hop that has said something on a connection that was kept, such as that it closes, or has
// closed it, is given the message by another, and no MAIL by that one.
func TestRepliesOnAKeptConnection(t *testing.T) {
	for name, way := range ways(t) {
		for _, said := range []string{"421 4.4.2 idle for too long", "250 ok", ""} {
			s, c := way()
			cl := s.start(c)
			send := func() string {
				return codes(cl.Deliver(t.Context(), delivery(t, text, "a@example.org", "b@example.net")))
			}
			if got := send(); got != "ok" {
				t.Fatalf("%s: %s", name, got)
			}
			if said == "" {
				s.mu.Lock()
				s.last.Close()
				s.mu.Unlock()
			} else {
				s.interject(said)
			}
			if got := send(); got != "ok" || s.connections() != 2 || len(s.commands("MAIL")) != 2 {
				t.Errorf("%s: %q: %s by connection %d, commands %q", name, said, got, s.connections(), s.commands(""))
			}
		}
	}
}

// A reply that cannot be one to its command ends the connection at once: the hop may be
// waiting for a message, and would answer no command any more. The reason is known.
func TestRepliesOfAnotherKind(t *testing.T) {
	for _, tc := range []struct{ command, reply string }{
		{"", "354 go"}, {"EHLO", "354 go"}, {"MAIL", "354 go"}, {"MAIL", "334 "}, {"RCPT", "354 go"}, {"DATA", "250 ok"}, {".", "354 go"},
	} {
		for _, offers := range []string{"", "PIPELINING"} {
			s := &server{t: t, offers: offers}
			s.answer = func(_ int, line string) string {
				if strings.HasPrefix(line, tc.command) && (tc.command != "" || line == "") {
					return tc.reply
				}
				return ""
			}
			c := s.start(setup{Timeout: 5 * time.Second})
			errs, _ := c.Deliver(t.Context(), delivery(t, text, "a@example.org", "b@example.net", "c@example.net"))
			if got := codes(errs, nil); got != "451 4.4.1, 451 4.4.1" || s.connections() != 1 {
				t.Errorf("%s to %q: %s, %d connections", tc.reply, tc.command, got, s.connections())
			}
			if errs[0] == nil || !strings.Contains(errs[0].Error(), strings.TrimSpace(tc.reply)) {
				t.Errorf("%s to %q: the reason is %v", tc.reply, tc.command, errs[0])
			}
			if n := len(s.commands("RSET")); n > 0 {
				t.Errorf("%s to %q: %d RSET", tc.reply, tc.command, n)
			}
		}
	}
}

// What comes in the clear with the reply to STARTTLS may be of another than the hop (RFC 3207
// section 6): nothing is sent.
func TestPlaintextAfterSTARTTLS(t *testing.T) {
	config, _, _ := wiretest.Certificate(t)
	for _, mode := range []string{"opportunistic", "encrypted"} {
		s := &server{t: t, offers: "STARTTLS", tls: config, answer: script("STARTTLS", "220 go\r\n250-hop\r\n250 CHUNKING")}
		c := s.start(setup{TLS: mode})
		if got := codes(c.Deliver(t.Context(), delivery(t, text, "a@example.org", "b@example.net"))); got != "451 4.4.1" || len(s.commands("MAIL")) > 0 {
			t.Errorf("%s: %s, commands %q", mode, got, s.commands(""))
		}
	}
}
