package test

import (
	"errors"
	"fmt"
	"net/smtp"
	"net/textproto"
	"strings"
	"syscall"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/loopback"
	"github.com/smimerelay/smimerelay/test/rig"
)

// lateRelay starts an SMTP relay whose next hop is not there yet.
func lateRelay(t *testing.T) (d *deployment, hop string) {
	w := newWorld(t)
	relay, next := loopback.FreePort(t), loopback.FreePort(t)
	ports := rig.Ports{"2525": relay, "10028": next}
	d = &deployment{world: w, outbound: local(relay), inbound: local(relay)}
	d.settings = w.config(rig.Recipe(t, "toml relay", ports), queueIn(t))
	d.gateway = rig.StartGateway(t, program, d.settings, relay)
	return d, local(next)
}

// TestCrash: what got 250 is delivered although the process is killed at once,
// repeatedly, with the next hop away and with it there.
func TestCrash(t *testing.T) {
	d, hop := lateRelay(t)
	var accepted []mail
	for i := range 5 {
		m := newMail(t, alice, "bob@both.example")
		m.id = fmt.Sprintf("away%d.%s", i, m.id)
		want(t, d.send(t, m), m.to[0], "accepted")
		accepted = append(accepted, m)
	}
	d.gateway.Kill(t)
	d.sink = rig.StartSinkAt(t, hop)
	for round := range 3 {
		d.gateway.Start(t)
		accepted = append(accepted, d.untilKilled(t, round)...)
	}
	d.gateway.Start(t)
	for _, m := range accepted {
		got := d.arrived(t, m, m.to[0])
		d.decrypted(t, got.Data, d.openssl, func(inner []byte) { d.verified(t, inner, m, d.openssl) })
	}
	d.testLeaks(t)
}

// untilKilled sends messages while the process is being killed, and returns
// those that it took responsibility for.
func (d *deployment) untilKilled(t *testing.T, round int) (accepted []mail) {
	c, err := smtp.Dial(d.outbound)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	killed := make(chan struct{})
	for i := 0; ; i++ {
		m := newMail(t, alice, "bob@both.example")
		m.id = fmt.Sprintf("round%d.%d.%s", round, i, m.id)
		err := transaction(c, m)
		if e, refused := errors.AsType[*textproto.Error](err); refused {
			t.Errorf("message %s: %v", m.id, e)
		}
		if err != nil {
			break
		}
		accepted = append(accepted, m)
		if i == 5 {
			go func() {
				defer close(killed)
				d.gateway.Kill(t)
			}()
		}
	}
	<-killed
	return accepted
}

func transaction(c *smtp.Client, m mail) error {
	if err := errors.Join(c.Mail(m.from), c.Rcpt(m.to[0])); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(m.bytes()); err != nil {
		return err
	}
	return w.Close()
}

// TestReload: a good file takes effect as a whole, a bad one not at all, and a
// connection that was open sees neither break.
func TestReload(t *testing.T) {
	d, hop := lateRelay(t)
	d.sink = rig.StartSinkAt(t, hop)
	open := rig.Dial(t, d.outbound, rig.Insider)
	step := func(name string, signed bool) {
		t.Helper()
		m := newMail(t, alice, "bob@sign.example")
		m.id = name + "." + m.id
		want(t, d.transact(t, open, m), m.to[0], "accepted")
		got := d.arrived(t, m, m.to[0])
		if is := strings.Contains(string(got.Data), "multipart/signed"); is != signed {
			t.Errorf("%s: signed %t, want %t", name, is, signed)
		}
	}
	reload := func(config, printed string, times int) {
		t.Helper()
		d.gateway.Configure(t, config)
		d.gateway.Signal(t, syscall.SIGHUP)
		d.gateway.WaitLog(t, printed, times)
	}
	step("before", true)
	reload(strings.Replace(d.settings, `name = "sign-only"`, "name = \"sign-only\"\nsing = \"never\"", 1), "reload failed", 1)
	step("after-a-bad-file", true)
	unsigned := strings.Replace(d.settings, `recipient = ["sign.example"]`+"\nsign = \"require\"",
		`recipient = ["sign.example"]`+"\nsign = \"never\"", 1)
	reload(unsigned, "msg=reloaded", 1)
	step("after-a-good-file", false)
	reload(d.settings, "msg=reloaded", 2)
	step("back-again", true)
}

// TestRelayBehindPostfix runs the recipe for a Postfix whose relayhost we are.
func TestRelayBehindPostfix(t *testing.T) {
	d, hop := lateRelay(t)
	d.sink = rig.StartSinkAt(t, hop)
	ports := rig.Ports{"2525": portOf(d.outbound)}
	submission := loopback.FreePort(t)
	rig.StartPostfix(t, rig.PostfixConfig{
		Ports:  []int{submission},
		Main:   rig.Recipe(t, "main.cf relay", ports),
		Master: fmt.Sprintf("%d inet n - n - - smtpd\n", submission),
	})
	d.outbound = local(submission)
	m := newMail(t, alice, "bob@both.example", "none@both.example")
	want(t, d.send(t, m), "bob@both.example", "accepted")
	got := d.arrived(t, m, "bob@both.example")
	d.decrypted(t, got.Data, d.openssl, func(inner []byte) { d.verified(t, inner, m, d.openssl) })
	d.notified(t, alice, "none@both.example")
	d.testLeaks(t)
}
