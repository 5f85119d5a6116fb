package smtpd

import (
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
)

// REQUIRETLS (RFC 8689) is offered and taken over TLS only, and stays with the message;
// a report of it has the header only.
func TestRequireTLS(t *testing.T) {
	server, pool, _ := wiretest.Certificate(t)
	for _, lmtp := range []bool{false, true} {
		w := start(t, Config{TLS: server, LMTP: lmtp})
		hello := map[bool]string{false: "EHLO", true: "LHLO"}[lmtp] + " client.example.org"
		p := w.dial()
		if r := p.do(hello, "250 "); strings.Contains(r, "REQUIRETLS") {
			t.Errorf("offered in the clear: %q", r)
		}
		p.do("MAIL FROM:<a@example.org> REQUIRETLS", "555 5.5.4")
		p.do("STARTTLS", "220 ")
		p = p.secure(pool)
		if r := p.do(hello, "250 "); !strings.Contains(r, "250-REQUIRETLS\r\n") {
			t.Errorf("not offered over TLS: %q", r)
		}
		p.do("MAIL FROM:<a@example.org> REQUIRETLS=yes", "501 5.5.4")
		p.do("MAIL FROM:<a@example.org> RET=FULL requiretls", "250 ")
		p.do("RCPT TO:<b@example.net>", "250 ")
		p.do("DATA", "354 ")
		p.send(text + ".\r\n")
		p.expect("250 ")
		if got := w.handler.Seen()[0].Envelope.Params; !got.RequireTLS || got.Return != "HDRS" {
			t.Errorf("parameters %+v", got)
		}
	}
}

// What EHLO says is so: a message of the size is taken, one octet more is not
// (TestMessageSize), and as many recipients.
func TestLimitsAreOffered(t *testing.T) {
	w := start(t, Config{Limits: Limits{MessageSize: 12345, Recipients: 7}})
	r := w.dial().do("EHLO client.example.org", "250 ")
	for _, want := range []string{"250-SIZE 12345\r\n", "LIMITS RCPTMAX=7\r\n"} {
		if !strings.Contains(r, want) {
			t.Errorf("no %q in %q", want, r)
		}
	}
}
