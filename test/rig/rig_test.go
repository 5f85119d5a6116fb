package rig

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/loopback"
)

// TestPostfixToSink is the rig alone: what goes in comes out with its octets.
func TestPostfixToSink(t *testing.T) {
	sink := StartSink(t)
	port := loopback.FreePort(t)
	mta := StartPostfix(t, PostfixConfig{
		Ports:  []int{port},
		Main:   "relayhost = [127.0.0.1]:" + portOf(sink.Addr()) + "\n",
		Master: fmt.Sprintf("%d inet n - n - - smtpd\n", port),
	})
	message := "From: a@test.example\r\nSubject: s\r\n\r\nFrom here\r\n.dot\r\n..\r\ntrailing \r\n" +
		strings.Repeat("x", 900) + "\r\n"
	c := Dial(t, fmt.Sprintf("127.0.0.1:%d", port), Insider)
	got := c.Send("a@test.example", []string{"b@test.example", "refuse@test.example"}, []byte(message))
	if !got.Data.Positive() {
		t.Fatalf("DATA: %v", got.Data)
	}
	d := sink.Wait(t, "the message", func(d Delivery) bool { return d.From == "a@test.example" })
	_, body, _ := bytes.Cut([]byte(message), []byte("\r\n\r\n"))
	if !bytes.HasSuffix(d.Data, body) {
		t.Errorf("body changed on the way: %q", d.Data)
	}
	mta.WaitLog(t, `to=<refuse@test\.example>.*status=bounced`)
	sink.Wait(t, "the bounce", func(d Delivery) bool { return d.From == "" && d.To[0] == "a@test.example" })
}

func portOf(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

func TestPath(t *testing.T) {
	for _, c := range []struct{ in, addr, params string }{
		{"TO:<a@b.example>", "a@b.example", ""},
		{"FROM:<> SIZE=3 BODY=7BIT", "", "SIZE=3 BODY=7BIT"},
		{`TO:<"a> ORCPT=x"@b.example> NOTIFY=NEVER`, `"a> ORCPT=x"@b.example`, "NOTIFY=NEVER"},
		{`TO:<"a\">b"@c.example>`, `"a\">b"@c.example`, ""},
	} {
		if addr, params := path(c.in); addr != c.addr || params != c.params {
			t.Errorf("%s: %q and %q", c.in, addr, params)
		}
	}
}
