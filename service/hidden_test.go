package service

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"net/smtp"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/message"
)

// outbound sends a message of Alice's with a header.
func (w *world) outbound(to, header string) {
	w.t.Helper()
	c, err := smtp.Dial(w.address("out"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	for _, err := range []error{c.Mail("alice@example.org"), c.Rcpt(to)} {
		if err != nil {
			w.t.Fatal(err)
		}
	}
	d, err := c.Data()
	if err != nil {
		w.t.Fatal(err)
	}
	fmt.Fprintf(d, "From: alice@example.org\r\nTo: %s\r\n%s\r\nHello.\r\n", to, header)
	if err := d.Close(); err != nil {
		w.t.Fatal(err)
	}
}

// TestAnswersKeepASubjectHidden: what came in with a hidden subject is answered with a hidden
// one, also when the service was started again, and other mail as its profile says.
func TestAnswersKeepASubjectHidden(t *testing.T) {
	in := "[[listener]]\nname = \"in\"\nprotocol = \"smtp\"\naddress = \"127.0.0.1:0\"\ndirection = \"inbound\"\n"
	w := startWorld(t, strings.Replace(storedConfig, "[trust]", in+"[trust]", 1))
	s := w.open(w.storeFile())
	alice, bob := w.identity(s, "alice@example.org"), w.identity(s, "bob@enc.example")
	w.settled(s)
	first := "<" + strings.Repeat("first", 80) + "@enc.example>"
	letter, err := message.Parse([]byte("From: bob@enc.example\r\nTo: alice@example.org\r\nSubject: merger\r\nMessage-ID: " + first + "\r\n\r\nHello.\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	hidden, err := smime.Encrypt(letter, []*x509.Certificate{alice.Certificate}, smime.EncryptOptions{Headers: smime.HeadersCipher})
	if err != nil {
		t.Fatal(err)
	}
	w.deliver(bytes.Replace(hidden.Bytes(), []byte(first), []byte("<outside@enc.example>"), 1), "alice@example.org")
	w.hop.wait(t, 1)
	if w.hop.raw("merger") == nil {
		t.Fatal("the subject did not come back")
	}
	const other = "In-Reply-To: <second@enc.example>\r\nSubject: Re: lunch\r\n"
	for i, tt := range []struct{ header, outside, inside string }{
		{"In-Reply-To: " + first + "\r\nSubject: Re: merger\r\n", "[...]", "Re: merger"}, // at once
		{"In-Reply-To: " + first + "\r\nSubject: Re: Re: merger\r\n", "[...]", "Re: Re: merger"},
		{other, "Re: lunch", "Re: lunch"},
	} {
		if i == 1 {
			w.stop() // what was recorded is written
			w.run()
			w.log.waitCount(t, "msg=serving", 2)
		}
		w.outbound("bob@enc.example", tt.header)
		w.log.waitCount(t, "msg=delivered", 2+i)
		m, err := message.Parse(w.hop.raw(tt.outside))
		if err != nil {
			t.Fatalf("%s: outside it is not %q: %v", tt.inside, tt.outside, err)
		}
		opened := smime.Open(t.Context(), m, smime.OpenOptions{Keys: certs.NewKeys(nil, bob)})
		if !opened.Decrypted || opened.Message.Get("Subject") != tt.inside || strings.Contains(string(m.Bytes()), "merger") {
			t.Errorf("%q: %v\n%s", tt.inside, opened.Report, m.Bytes())
		}
	}
}
