package smtpclient

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

// A hop that offers CHUNKING gets the message by BDAT, without doubled dots, and its
// answers mean what they mean after DATA.
func TestChunks(t *testing.T) {
	const dots = "Subject: x\r\n\r\n.\r\n..a\r\n.\r\n"
	for _, tc := range []struct {
		name, text string
		answer     func(int, string) string
		want, got  string
	}{
		{"taken", dots, nil, "ok, ok", dots},
		{"without a line end", "Subject: x\r\n\r\nhello", nil, "ok, ok", text},
		{"header only", "Subject: x", nil, "ok, ok", "Subject: x\r\n"},
		{"one refused", text, script("RCPT TO:<b@", "550 5.1.1 no"), "550 5.1.1, ok", text},
		{"none accepted", text, script("RCPT", "550 5.1.1 no"), "550 5.1.1, 550 5.1.1", ""},
		{"sender refused", text, script("MAIL", "550 5.7.1 no", "RCPT", "503 5.5.1 MAIL first"), "550 5.7.1, 550 5.7.1", ""},
		{"deferred", text, script(whole, "451 4.3.0 no"), "451 4.3.0, 451 4.3.0", text},
		{"refused", text, script(whole, "554 5.6.0 no"), "554 5.6.0, 554 5.6.0", text},
		{"closed", text, script(whole, "421 4.3.2 no"), "421 4.3.2, 421 4.3.2", text},
		{"deferred at the first chunk", text, script("BDAT", "451 4.3.0 no"), "451 4.3.0, 451 4.3.0", ""},
		{"closed at the first chunk", text, script("BDAT", "421 4.3.2 no"), "421 4.3.2, 421 4.3.2", ""},
		{"lost", text, script(whole, "!"), "451 4.4.1, 451 4.4.1", text},
	} {
		for _, offers := range []string{"CHUNKING", "CHUNKING, PIPELINING"} {
			t.Run(tc.name+" "+offers, func(t *testing.T) {
				s := &server{t: t, offers: offers, answer: tc.answer}
				c := s.start(setup{})
				if r := codes(c.Deliver(t.Context(), delivery(t, tc.text, "a@example.org", "b@example.net", "c@example.net"))); r != tc.want {
					t.Errorf("results %s, want %s", r, tc.want)
				}
				// The connection is as good as new.
				s.mu.Lock()
				s.answer = nil
				first := slices.Clone(s.data)
				s.mu.Unlock()
				if r := codes(c.Deliver(t.Context(), delivery(t, text, "a@example.org", "d@example.net"))); r != "ok" {
					t.Errorf("after it: %s", r)
				}
				if got := strings.Join(first, "|"); got != tc.got {
					t.Errorf("the hop has %q, want %q", got, tc.got)
				}
				if lines := s.commands("DATA"); len(lines) > 0 {
					t.Errorf("%q", lines)
				}
				if lines := s.commands("BDAT"); lines[0] != "BDAT 1" || !strings.HasSuffix(lines[len(lines)-1], " LAST") {
					t.Errorf("%q", lines)
				}
				if resets := len(s.commands("RSET")); strings.HasSuffix(tc.want, "4.3.0") && resets != 1 {
					t.Errorf("%d RSET after a chunk that failed", resets)
				}
			})
		}
	}
}

// A hop that offers CHUNKING and does not know BDAT gets messages by DATA. It never has one
// that it may take for commands, nor one twice, and for a while it is not asked again.
func TestBDATIsNotKnown(t *testing.T) {
	const forged = "Subject: x\r\n\r\nMAIL FROM:<evil@example.org>\r\nRCPT TO:<victim@example.net>\r\nDATA\r\n"
	for _, tc := range []struct {
		name   string
		answer func(int, string) string
		first  string
	}{
		{"500", script("BDAT", "500 5.5.1 what?"), "ok, ok"},
		{"501", script("BDAT", "501 5.5.4 what?"), "ok, ok"},
		{"502", script("BDAT", "502 5.5.1 what?"), "ok, ok"},
		{"503", script("BDAT", "503 5.5.1 what?"), "ok, ok"},
		{"as DATA", script("BDAT", "354 go"), "ok, ok"},
		{"and one recipient refused", script("RCPT TO:<b@", "550 5.1.1 no", "BDAT", "502 5.5.1 what?"), "550 5.1.1, ok"},
		{"closed", script("BDAT", "!"), "451 4.4.1, 451 4.4.1"},
	} {
		for _, offers := range []string{"CHUNKING", "CHUNKING, PIPELINING"} {
			t.Run(tc.name+" "+offers, func(t *testing.T) {
				now := time.Now()
				s := &server{t: t, offers: offers, answer: tc.answer, noBDAT: true}
				c := s.start(setup{Config: Config{Clock: func() time.Time { return now }}})
				send := func() string {
					return codes(c.Deliver(t.Context(), delivery(t, forged, "a@example.org", "b@example.net", "c@example.net")))
				}
				if got := send(); got != tc.first {
					t.Errorf("results %s, want %s", got, tc.first)
				}
				if got := send(); !strings.HasSuffix(got, "ok") {
					t.Errorf("second message: %s", got)
				}
				if n := len(s.commands("BDAT")); n != 1 {
					t.Errorf("%d BDAT, want 1", n)
				}
				now = now.Add(rememberedTime)
				send()
				if n := len(s.commands("BDAT")); n != 2 {
					t.Errorf("%d BDAT after a while, want 2", n)
				}
				if n := len(s.commands("MAIL FROM:<evil")); n > 0 {
					t.Error("the message was taken for commands")
				}
				s.mu.Lock()
				defer s.mu.Unlock()
				if want := 2 + strings.Count(tc.first[len(tc.first)-2:], "ok"); len(s.data) != want {
					t.Errorf("%d messages, want %d: %q", len(s.data), want, s.data)
				}
			})
		}
	}
}

// A hop that has taken the first chunk knows BDAT: what it says of the last is about the
// message, which it does not get a second time.
func TestLastChunkIsRefused(t *testing.T) {
	for _, code := range []string{"500 5.5.1", "502 5.5.1", "503 5.5.1"} {
		s := &server{t: t, offers: "CHUNKING", answer: script(fmt.Sprintf("BDAT %d", len(text)-1), code+" what?")}
		c := s.start(setup{})
		if got := codes(c.Deliver(t.Context(), delivery(t, text, "a@example.org", "b@example.net"))); got != code || s.connections() != 1 || len(s.commands("DATA")) > 0 {
			t.Errorf("%s: %s, commands %q", code, got, s.commands(""))
		}
		if c.noChunks.has(c.host.Address, time.Now()) {
			t.Errorf("%s: it gets no BDAT any more", code)
		}
	}
}

// Of too many servers those are forgotten that were noted first.
func TestRemembered(t *testing.T) {
	var m remembered
	now := time.Now()
	for i := range rememberedSize + 1 {
		m.add(fmt.Sprint(i), now.Add(time.Duration(i)))
	}
	if m.has("0", now) || !m.has("1", now) || !m.has(fmt.Sprint(rememberedSize), now) || m.has("1", now.Add(2*rememberedTime)) {
		t.Errorf("%d are remembered", len(m.until))
	}
}

// By option, and with LMTP, messages go out by DATA.
func TestNoChunks(t *testing.T) {
	for _, c := range []Config{{NoChunking: true}, {LMTP: true}} {
		s := &server{t: t, offers: "CHUNKING"}
		cl := s.start(setup{Config: c})
		if r := codes(cl.Deliver(t.Context(), delivery(t, text, "a@example.org", "b@example.net"))); r != "ok" || len(s.commands("BDAT")) > 0 || len(s.data) != 1 {
			t.Errorf("%+v: %s, %q", c, r, s.data)
		}
	}
}

// vectors are all sequences of CR, LF and dot up to a length.
func vectors(length int) (all []string) {
	level := []string{""}
	for range length {
		var next []string
		for _, s := range level {
			for _, c := range []string{"\r", "\n", "."} {
				next = append(next, s+c)
			}
		}
		all, level = append(all, next...), next
	}
	return all
}

// Nothing that other servers may take for the end of a message leaves by the client, by
// DATA or by BDAT: a message with a bare CR or LF is refused before anything is sent, and
// of all others the hop sees one, with the octets that it has.
func TestNothingIsSmuggledOut(t *testing.T) {
	const forged = "MAIL FROM:<evil@example.org>\r\nRCPT TO:<victim@example.net>\r\nDATA\r\nSubject: forged\r\n\r\nx\r\n.\r\n"
	for _, offers := range []string{"PIPELINING", "PIPELINING, CHUNKING"} {
		s := &server{t: t, offers: offers}
		c := s.start(setup{})
		sent := 0
		for _, v := range vectors(6) {
			text := "Subject: s\r\n\r\nx" + v + forged
			bare := strings.ContainsAny(strings.ReplaceAll(text, "\r\n", ""), "\r\n")
			got := codes(c.Deliver(t.Context(), delivery(t, text, "a@example.org", "b@example.net")))
			if bare {
				if got != "550 5.6.0" {
					t.Errorf("%s %q: %s", offers, v, got)
				}
				continue
			}
			sent++
			s.mu.Lock()
			n, last := len(s.data), s.data[len(s.data)-1]
			s.mu.Unlock()
			if !strings.Contains(offers, "CHUNKING") {
				last = undotted(last)
			}
			if got != "ok" || n != sent || last != text {
				t.Fatalf("%s %q: %s, %d messages for %d, the last %q", offers, v, got, n, sent, last)
			}
		}
		if sent == 0 {
			t.Error("all was refused")
		}
		if lines := s.commands("MAIL"); len(lines) != sent || slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, "evil") }) {
			t.Errorf("%s: %d MAIL commands for %d messages", offers, len(lines), sent)
		}
	}
}

// undotted is what a server makes of DATA (RFC 5321 section 4.5.2).
func undotted(wire string) string {
	text := strings.TrimSuffix("\r\n"+wire, "\r\n.\r\n") + "\r\n"
	return strings.ReplaceAll(text, "\r\n.", "\r\n")[2:]
}

// chunk reads what follows a BDAT command.
func (s *server) chunk(line string, r io.Reader) bool {
	var n int
	if _, err := fmt.Sscanf(line, "BDAT %d", &n); err != nil {
		return false
	}
	if s.noBDAT {
		return true
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !strings.HasSuffix(line, " LAST") {
		s.begun = string(text)
		return true
	}
	s.data, s.begun = append(s.data, s.begun+string(text)), ""
	return true
}
