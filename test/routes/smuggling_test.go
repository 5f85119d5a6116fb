package routes

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/loopback"
	"github.com/smimerelay/smimerelay/test/rig"
)

// eximKeeper takes all mail of this host, and keeps it in a folder.
const eximKeeper = `primary_hostname = exim.test
tls_advertise_hosts =
acl_smtp_rcpt = accept
` + eximDelivery

// forged is a second message, for who takes what is before it for the end of the first.
const forged = "MAIL FROM:<evil@example.org>\r\nRCPT TO:<victim@exim.example.net>\r\nRCPT TO:<victim@postfix.example.net>\r\nDATA\r\nSubject: forged\r\n\r\nx\r\n"

// vectors are all sequences of CR, LF and dot up to a length.
func vectors(length int) (all []string) {
	level := []string{""}
	for range length {
		var next []string
		for _, s := range level {
			next = append(next, s+"\r", s+"\n", s+".")
		}
		all, level = append(all, next...), next
	}
	return all
}

// strict is RFC 5321: the text up to CRLF dot CRLF, without the dots that were added. ok is
// false if a CR or LF stands alone in it.
func strict(stream string) (text string, ok bool) {
	text, _, _ = strings.Cut("\r\n"+stream, "\r\n.\r\n")
	text = strings.ReplaceAll(text+"\r\n", "\r\n.", "\r\n")[2:]
	return text, !bare(text)
}

func bare(text string) bool {
	return strings.ContainsAny(strings.ReplaceAll(text, "\r\n", ""), "\r\n")
}

// TestNothingIsSmuggledThrough: every vector of CR, LF and dot before a forged message, by
// DATA and by BDAT, through the gateway to an Exim that gets BDAT and a Postfix that gets
// DATA. What they have in the end is one message for each that was taken, with its octets.
func TestNothingIsSmuggledThrough(t *testing.T) {
	sink := rig.StartSink(t)
	listen, toExim, toPostfix := loopback.FreePort(t), loopback.FreePort(t), loopback.FreePort(t)
	exim := rig.StartExim(t, eximKeeper, toExim)
	rig.StartPostfix(t, rig.PostfixConfig{
		Ports: []int{toPostfix}, Main: "relayhost = " + bracketed(sink.Addr()) + "\n", Master: fmt.Sprintf("127.0.0.1:%d inet n - n - - smtpd\n", toPostfix),
	})
	rig.StartGateway(t, program, passing(listen)+fmt.Sprintf(`[[route]]
name = "exim"
recipient = ["exim.example.net"]
to = ["127.0.0.1:%d"]
[[route]]
name = "postfix"
recipient = ["postfix.example.net"]
to = ["127.0.0.1:%d"]
chunking = false
`, toExim, toPostfix), listen)
	const envelope = "EHLO client.test\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@exim.example.net>\r\nRCPT TO:<b@postfix.example.net>\r\n"
	want := map[string]string{}
	for i, v := range vectors(5) {
		if strings.HasPrefix(v, "\r\n.\r\n") {
			continue // then RFC 5321 says that a second message follows
		}
		id := fmt.Sprintf("data-%d.", i)
		text := "From: a@example.org\r\nSubject: " + id + "\r\n\r\nx" + v + forged
		if content, ok := strict(text + ".\r\n"); ok {
			want[id] = content
		}
		transact(t, listen, envelope+"DATA\r\n"+text+".\r\n")

		id = fmt.Sprintf("bdat-%d.", i)
		text = "From: a@example.org\r\nSubject: " + id + "\r\n\r\nx" + v + forged
		if !bare(text) {
			want[id] = text
		}
		transact(t, listen, fmt.Sprintf("%sBDAT %d LAST\r\n%s", envelope, len(text), text))
	}
	if len(want) < 20 {
		t.Fatalf("only %d are well formed", len(want))
	}
	arrived := map[string]func() [][]byte{
		"Exim": func() [][]byte { return exim.Mail(t) },
		"the host behind Postfix": func() (all [][]byte) {
			for _, d := range sink.All() {
				if len(d.To) != 1 || d.To[0] != "b@postfix.example.net" {
					t.Errorf("mail for %s", d.To)
				}
				all = append(all, d.Data)
			}
			return all
		},
	}
	for host, all := range arrived {
		until(t, fmt.Sprintf("%d messages at %s", len(want), host), func() bool { return len(all()) >= len(want) })
		got := map[string]bool{}
		for _, m := range all() {
			m = bytes.ReplaceAll(bytes.ReplaceAll(m, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
			head, body, _ := bytes.Cut(m, []byte("\r\n\r\n"))
			_, rest, _ := strings.Cut(string(head)+"\r\n", "\r\nSubject: ")
			id, _, _ := strings.Cut(rest, "\r\n")
			_, wanted, _ := strings.Cut(want[id], "\r\n\r\n")
			if want[id] == "" || got[id] || string(body) != wanted || bytes.Contains(head, []byte("victim@")) {
				t.Errorf("%s has %q, want %q", host, m, wanted)
			}
			got[id] = true
		}
	}
}

// transact sends a whole session at once, and returns all that was answered.
func transact(t *testing.T, port int, session string) string {
	t.Helper()
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(rig.Patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, session+"QUIT\r\n"); err != nil {
		t.Fatal(err)
	}
	// The gateway may close at once what is not SMTP, which ends the reading as well.
	answers, err := io.ReadAll(c)
	if err != nil && len(answers) == 0 {
		t.Fatal(err)
	}
	return string(answers)
}
