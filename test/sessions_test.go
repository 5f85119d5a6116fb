package test

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/smimerelay/smimerelay/test/rig"
)

func (d *deployment) testSessions(t *testing.T) {
	t.Run("two messages", d.testTwoMessages)
	t.Run("reset", d.testReset)
	t.Run("disconnect", d.testDisconnect)
	t.Run("parallel", d.testParallel)
}

// testTwoMessages: the second message on a connection has a state of its own.
func (d *deployment) testTwoMessages(t *testing.T) {
	c := rig.Dial(t, d.outbound, rig.Insider)
	first := newMail(t, alice, "bob@both.example")
	first.id = "first." + first.id
	second := newMail(t, erika, "bob@sign.example")
	second.id = "second." + second.id
	for _, m := range []mail{first, second} {
		want(t, d.transact(t, c, m), m.to[0], "accepted")
	}
	d.decrypted(t, d.arrived(t, first, "bob@both.example").Data, d.openssl,
		func(inner []byte) { d.verified(t, inner, first, d.openssl) })
	d.verified(t, d.arrived(t, second, "bob@sign.example").Data, second, d.openssl)
	d.onlyTo(t, first, "bob@both.example")
	d.onlyTo(t, second, "bob@sign.example")
}

// testReset: recipients named before RSET get nothing.
func (d *deployment) testReset(t *testing.T) {
	c := rig.Dial(t, d.outbound, rig.Insider)
	for _, err := range []error{c.Mail(alice), c.Rcpt("bob@strip.example"), c.Rcpt("carol@rest.example"), c.Reset()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	m := newMail(t, alice, "bob@both.example")
	want(t, d.transact(t, c, m), m.to[0], "accepted")
	d.arrived(t, m, m.to[0])
	d.onlyTo(t, m, m.to[0])
}

// testDisconnect: what was not finished is not delivered, and the listener stays
// open for others.
func (d *deployment) testDisconnect(t *testing.T) {
	cut := newMail(t, alice, "bob@sign.example")
	cut.id = "cut." + cut.id
	conn, err := net.Dial("tcp", d.outbound)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("EHLO client.test\r\nMAIL FROM:<%s>\r\nRCPT TO:<%s>\r\nDATA\r\n", cut.from, cut.to[0])
	step := func(command string) {
		t.Helper()
		if _, err := conn.Write([]byte(command)); err != nil {
			t.Fatal(err)
		}
		readReply(t, conn)
	}
	readReply(t, conn)
	for command := range strings.Lines(text) {
		step(command)
	}
	if _, err := conn.Write(cut.bytes()); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	next := newMail(t, alice, "bob@sign.example")
	want(t, d.send(t, next), next.to[0], "accepted")
	d.arrived(t, next, next.to[0])
	d.onlyTo(t, cut)
}

func readReply(t *testing.T, conn net.Conn) {
	t.Helper()
	var reply []byte
	for b := make([]byte, 1024); ; {
		n, err := conn.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		reply = append(reply, b[:n]...)
		lines := strings.Split(strings.TrimRight(string(reply), "\r\n"), "\n")
		last := lines[len(lines)-1]
		if strings.HasSuffix(string(reply), "\n") && len(last) > 3 && last[3] == ' ' {
			if last[0] > '3' {
				t.Fatalf("reply %q", reply)
			}
			return
		}
	}
}

// testParallel: twenty clients at once, each with messages of its own.
func (d *deployment) testParallel(t *testing.T) {
	const clients, each = 20, 3
	var mails []mail
	for i := range clients * each {
		m := newMail(t, alice, "bob@both.example")
		m.id = fmt.Sprintf("%d.%s", i, m.id)
		m.entity = fmt.Sprintf("\r\n%s number %d\r\n", secret, i)
		mails = append(mails, m)
	}
	var wg sync.WaitGroup
	for i := range clients {
		c := rig.Dial(t, d.outbound, rig.Insider)
		wg.Go(func() {
			for _, m := range mails[i*each : (i+1)*each] {
				if got := c.Send(m.from, m.to, m.bytes()); !got.Data.Positive() || got.Data.Code == 0 {
					t.Errorf("message %s: %+v", m.id, got)
				}
			}
		})
	}
	wg.Wait()
	for _, m := range mails {
		d.decrypted(t, d.arrived(t, m, m.to[0]).Data, d.openssl, func(inner []byte) { d.verified(t, inner, m, d.openssl) })
	}
}
