package routes

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/loopback"
	"github.com/smimerelay/smimerelay/test/rig"
)

// TestPostfixGetsChunks: messages of all sizes go to a Postfix by BDAT and by DATA, and come
// out of it with the same octets.
func TestPostfixGetsChunks(t *testing.T) {
	sink := rig.StartSink(t)
	listen, host := loopback.FreePort(t), loopback.FreePort(t)
	postfix := rig.StartPostfix(t, rig.PostfixConfig{
		Ports:  []int{host},
		Main:   "relayhost = " + bracketed(sink.Addr()) + "\ndisable_mime_output_conversion = yes\n",
		Master: fmt.Sprintf("127.0.0.1:%d inet n - n - - smtpd\n", host),
	})
	rig.StartGateway(t, program, passing(listen)+fmt.Sprintf(`[[route]]
name = "data"
recipient = ["data.example.net"]
to = ["127.0.0.1:%[1]d"]
chunking = false
[[route]]
name = "bdat"
to = ["127.0.0.1:%[1]d"]
`, host), listen)
	c := rig.Dial(t, fmt.Sprintf("127.0.0.1:%d", listen), "127.0.0.1")
	dots := ".\r\n..\r\n.a\r\n\r\n.\r\n"
	for name, body := range map[string]string{
		"nothing": "", "octet": "x\r\n", "line end": "\r\n", "dot": ".\r\n", "dots": dots,
		"5 kB":  strings.Repeat("The quick brown fox jumps over the lazy dog.\r\n", 110),
		"3 MB":  strings.Repeat(dots+strings.Repeat("x", 900)+"\r\n", 3400),
		"8-bit": strings.Repeat("h\xc3\xa9 \x80\x9f\xa0\xff\r\n.\xff\r\n", 100),
	} {
		text := fmt.Sprintf("From: a@example.org\r\nSubject: %s.\r\n\r\n%s", name, body)
		for _, domain := range []string{"data.example.net", "bdat.example.net"} {
			to := "b@" + domain
			if tx := c.Send("a@example.org", []string{to}, []byte(text)); !tx.Data.Positive() {
				t.Fatalf("%s to %s: %+v", name, to, tx)
			}
			d := sink.Wait(t, name+" to "+to, func(d rig.Delivery) bool {
				return d.To[0] == to && bytes.Contains(d.Data, []byte("\r\nSubject: "+name+".\r\n"))
			})
			if _, got, _ := bytes.Cut(d.Data, []byte("\r\n\r\n")); string(got) != body {
				t.Errorf("%s to %s: %d octets, want %d: %.200q", name, to, len(got), len(body), got)
			}
		}
	}
	// Postfix counts the commands of a session.
	postfix.WaitLog(t, `disconnect from .* mail=\d+ rcpt=\d+ bdat=\d+ quit`)
	postfix.WaitLog(t, `disconnect from .* mail=\d+ rcpt=\d+ data=\d+ quit`)
}
