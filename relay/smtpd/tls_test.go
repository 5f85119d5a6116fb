package smtpd

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
)

// secure does the handshake and returns the peer over TLS.
func (p *peer) secure(pool *x509.CertPool) *peer {
	p.t.Helper()
	tc := tls.Client(p.Conn, &tls.Config{RootCAs: pool, ServerName: "gw.example.com"})
	if err := tc.Handshake(); err != nil {
		p.t.Fatal(err)
	}
	return &peer{t: p.t, Conn: tc, r: bufio.NewReader(tc)}
}

// The Received field names the protocol as RFC 3848 and RFC 6531 do: without extensions
// after HELO, whatever was said before.
func TestProtocolInReceived(t *testing.T) {
	for want, tc := range map[string]struct {
		lmtp  bool
		lines []string
	}{
		"SMTP":     {false, []string{"HELO c.example"}},
		" SMTP":    {false, []string{"EHLO c.example", "HELO c.example"}},
		"ESMTP":    {false, []string{"HELO c.example", "EHLO c.example", "EHLO"}},
		"ESMTPA":   {false, []string{"EHLO c.example", "AUTH PLAIN " + b64("\x00alice\x00secret")}},
		"LMTP":     {true, []string{"LHLO c.example"}},
		"LMTPA":    {true, []string{"LHLO c.example", "AUTH PLAIN " + b64("\x00alice\x00secret")}},
		"UTF8SMTP": {false, []string{"EHLO c.example", "MAIL FROM:<a@example.org> SMTPUTF8"}},
	} {
		w := startLogins(t, Config{LMTP: tc.lmtp})
		p := w.dial()
		for _, line := range append(tc.lines, "MAIL FROM:<a@example.org>", "RCPT TO:<b@example.net>") {
			p.do(line, "")
		}
		p.do("DATA", "354 ")
		p.send(text + ".\r\n")
		p.expect("250 ")
		if seen := w.handler.Seen(); !strings.Contains(seen[0].Text, " with "+strings.TrimSpace(want)+" id ") {
			t.Errorf("%q: no %s in %q", tc.lines, want, seen[0].Text)
		}
	}
}

func TestSTARTTLS(t *testing.T) {
	server, pool, _ := wiretest.Certificate(t)
	for _, lmtp := range []bool{false, true} {
		w := start(t, Config{TLS: server, LMTP: lmtp})
		hello := map[bool]string{false: "EHLO", true: "LHLO"}[lmtp] + " client.example.org"
		p := w.dial()
		if r := p.do(hello, "250 "); !strings.Contains(r, "STARTTLS") {
			t.Errorf("greeting without STARTTLS: %q", r)
		}
		p.do("MAIL FROM:<early@example.org>", "250 ")
		p.do("STARTTLS", "220 ")
		p = p.secure(pool)
		// Nothing said in the clear is known any more.
		p.do("MAIL FROM:<a@example.org>", "503 ")
		if r := p.do(hello, "250 "); strings.Contains(r, "STARTTLS") {
			t.Errorf("STARTTLS offered twice: %q", r)
		}
		p.do("DATA", "503 ")
		p.do("STARTTLS", "502 ")
		for range 2 {
			p.envelope("", "b@example.net")
			p.do("DATA", "354 ")
			p.send(text + ".\r\n")
			p.expect("250 ")
		}
		p.do("QUIT", "221 ")
		seen := w.handler.Seen()
		if len(seen) != 2 || !seen[0].Envelope.Client.TLS || seen[0].Envelope.Sender.String() != "a@example.org" {
			t.Fatalf("the handler saw %+v", seen)
		}
		if want := map[bool]string{false: " with ESMTPS id ", true: " with LMTPS id "}[lmtp]; !strings.Contains(seen[0].Text, want) {
			t.Errorf("no %q in %q", want, seen[0].Text)
		}
	}
}

// What was sent in the clear behind STARTTLS must not be taken for secured
// (CVE-2011-0411), whether it is a command or a whole message.
func TestSTARTTLSInjection(t *testing.T) {
	server, pool, _ := wiretest.Certificate(t)
	w := start(t, Config{TLS: server})
	p := w.dial()
	p.do("EHLO client.example.org", "250 ")
	p.send("STARTTLS\r\nEHLO evil.example.org\r\nMAIL FROM:<evil@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n" + text + ".\r\n")
	p.expect("220 ")
	p = p.secure(pool)
	p.do("RCPT TO:<c@example.net>", "503 ")
	p.do("EHLO client.example.org", "250 ")
	p.do("RCPT TO:<c@example.net>", "503 ")
	p.do("QUIT", "221 ")
	if seen := w.handler.Seen(); len(seen) > 0 {
		t.Errorf("accepted %+v", seen)
	}
}

// TLS ends a stream with an alert of its own, which no one below it sees.
func TestTruncatedBDATOverTLS(t *testing.T) {
	server, pool, _ := wiretest.Certificate(t)
	w := start(t, Config{TLS: server})
	for _, missing := range []int{10, 0} {
		p := w.dial()
		p.do("EHLO client.example.org", "250 ")
		p.do("STARTTLS", "220 ")
		p = p.secure(pool)
		p.envelope("EHLO", "b@example.net")
		p.send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(text)+missing, text))
		if err := p.Conn.(*tls.Conn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if r := p.reply(); strings.HasPrefix(r, "250 ") != (missing == 0) {
			t.Errorf("%d octets missing: answer %q", missing, r)
		}
	}
	if n := len(w.sink.All()); n != 1 {
		t.Errorf("%d messages delivered", n)
	}
}

func TestSTARTTLSFails(t *testing.T) {
	server, _, _ := wiretest.Certificate(t)
	w := start(t, Config{TLS: server})
	p := w.dial()
	p.do("EHLO client.example.org", "250 ")
	p.do("STARTTLS", "220 ")
	p.send("MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n")
	if _, err := io.Copy(io.Discard, p.Conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection stays open after a handshake that was none")
	}
	w.dial().do("QUIT", "221 ")
}
