package test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/message"
	"github.com/smimerelay/smimerelay/test/rig"
)

const (
	bounceDomain = "bounce.corp.example"
	gone         = "gone@ask.example"        // of whom a server reports later that there is no such user
	unwilling    = "refuse-mail@ask.example" // whose server refuses all mail
)

// TestQuestionBounces: a question that cannot be delivered ends the wait of all messages that wait for
// its answer, and nothing else that comes back does.
func TestQuestionBounces(t *testing.T) {
	for name, open := range deployments {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.issue(testpki.Leaf{Addresses: []string{asker}, Key: "rsa2048"})
			w.store(t, "identities/"+asker+".pem", testpki.Must(w.ids[asker].PEM()))
			w.more = strings.Replace(askRules, "[ask]\n", "[ask]\nbounce_domain = \""+bounceDomain+"\"\n", 1)
			d := open(t, w)
			d.name = name
			d.testQuestionBounces(t)
		})
	}
}

func (d *deployment) testQuestionBounces(t *testing.T) {
	m := newMail(t, alice, gone, unwilling)
	outcomes := d.send(t, m)
	for _, addr := range m.to {
		want(t, outcomes, addr, "accepted")
	}
	path := d.sink.Wait(t, "the question to "+gone, func(got rig.Delivery) bool { return isReturnPath(got.From) && contains(got.To, gone) }).From
	d.unwillingServer(t)
	d.returned(t, m, unwilling, "550", 1)

	second := newMail(t, alice, gone)
	second.id = "second." + second.id
	want(t, d.send(t, second), gone, "accepted")
	d.testEndsNoWait(t, path)

	back := bounceTo(t, "good", path, gone, "failed")
	back.verbatim = signedReport(t, back, d.foreign)
	want(t, d.receive(t, back), path, "accepted")
	d.gateway.Kill(t)
	d.gateway.Start(t)
	d.returned(t, m, gone, "550 5.1.1 no such user", 1)
	d.returned(t, second, gone, "550 5.1.1 no such user", 1)
	again := back
	again.verbatim = nil
	again.id = "again." + back.id
	want(t, d.receive(t, again), path, "accepted")
	if list := d.gateway.Run(t, "queue", "held"); list != "0 held\n" {
		t.Errorf("held is\n%s", list)
	}
	d.gateway.AwaitOutput(t, "Ended (the request for a certificate could not be delivered: 550 5.1.1 no such user)", "trace", "<"+second.id+">")
	third := newMail(t, alice, gone)
	third.id = "third." + third.id
	want(t, d.send(t, third), gone, "accepted")
	d.sink.Wait(t, "another question to "+gone, func(got rig.Delivery) bool {
		return isReturnPath(got.From) && got.From != path && contains(got.To, gone)
	})
	want(t, d.receive(t, bounceTo(t, "replayed", path, gone, "failed")), path, "accepted")
	if list := d.gateway.Run(t, "queue", "held"); !strings.Contains(list, gone) {
		t.Errorf("a replayed report ends the wait of a later message; held is\n%s", list)
	}
	for _, m := range []mail{m, second, third} {
		d.onlyTo(t, m)
	}
}

func isReturnPath(sender string) bool {
	return strings.HasPrefix(sender, "smr2=") && strings.HasSuffix(sender, "@"+bounceDomain)
}

// unwillingServer has the report come back that Postfix writes of the question to unwilling. Where there
// is no Postfix, the gateway itself is refused, and knows.
func (d *deployment) unwillingServer(t *testing.T) {
	t.Helper()
	if d.mta == nil {
		return
	}
	got := d.sink.Wait(t, "Postfix's report of the question", func(got rig.Delivery) bool {
		return got.From == "" && len(got.To) == 1 && isReturnPath(got.To[0]) && bytes.Contains(got.Data, []byte(unwilling))
	})
	id := messageID.FindSubmatch(got.Data)
	if id == nil {
		t.Fatalf("no Message-ID:\n%s", got.Data)
	}
	m := mail{id: "back." + strings.Trim(string(id[1]), "<>"), to: got.To}
	m.verbatim = bytes.Replace(got.Data, id[1], []byte("<"+m.id+">"), 1)
	want(t, d.receive(t, m), got.To[0], "accepted")
}

// returned waits for the report on a message to its sender, which names who was not reached, and why.
func (d *deployment) returned(t *testing.T, m mail, addr, why string, times int) {
	t.Helper()
	is := func(got rig.Delivery) bool {
		return got.From == "" && contains(got.To, alice) && bytes.Contains(got.Data, []byte("Final-Recipient: rfc822; "+addr+"\r\nAction: failed")) &&
			bytes.Contains(got.Data, []byte("<"+m.id+">")) && bytes.Contains(got.Data, []byte("the request for a certificate could not be delivered: "+why))
	}
	report := d.sink.Wait(t, "the report that "+addr+" was not reached", is)
	if bytes.Contains(report.Data, []byte(secret)) {
		t.Errorf("the report gives the content away:\n%s", report.Data)
	}
	n := 0
	for _, got := range d.sink.All() {
		if is(got) {
			n++
		}
	}
	if n != times {
		t.Errorf("%d reports that %s was not reached", n, addr)
	}
}

// testEndsNoWait: only a report that a question failed, to its own address, counts.
func (d *deployment) testEndsNoWait(t *testing.T, path string) {
	t.Helper()
	forged := strings.Replace(path, "smr2=", "smr2=a", 1)
	for _, m := range []mail{
		bounceTo(t, "delayed", path, gone, "delayed"),
		bounceTo(t, "another", path, "other@ask.example", "failed"),
		bounceTo(t, "forged", forged, gone, "failed"),
	} {
		d.receive(t, m)
	}
	away := bounceTo(t, "away", path, gone, "failed")
	away.headers, away.entity = "Auto-Submitted: auto-replied\r\n", "\r\nI am away\r\n"
	d.receive(t, away)
	d.gateway.WaitLog(t, "report on a request for a certificate changes nothing", 1)
	d.gateway.WaitLog(t, `outcome=discarded reason="not a failure report"`, 1)
	d.gateway.WaitLog(t, `outcome=discarded reason="not a report"`, 1)
	looks := strings.Count(d.gateway.Log(), `msg="held message"`)
	d.gateway.Run(t, "queue", "release", "--all")
	d.gateway.WaitLog(t, `msg="held message"`, looks+2)
	if list := d.gateway.Run(t, "queue", "held"); strings.Count(list, gone) < 2 {
		t.Fatalf("held is\n%s", list)
	}
}

// signedReport is a report as a gateway sends it that signs all mail, trusted or not.
func signedReport(t *testing.T, m mail, by *testpki.Identity) []byte {
	t.Helper()
	signed, err := smime.Sign(testpki.Must(message.Parse(m.bytes())), (*certs.Identity)(by), smime.SignOptions{Time: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return signed.Bytes()
}

// bounceTo is a delivery report to an address.
func bounceTo(t *testing.T, name, path, about, action string) mail {
	m := newMail(t, "", path)
	m.id, m.author = name+".report."+m.id, "MAILER-DAEMON@mx.ask.example"
	m.entity = fmt.Sprintf("Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n\r\nSorry.\r\n"+
		"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.ask.example\r\n\r\n"+
		"Original-Recipient: rfc822; %[1]s\r\nFinal-Recipient: rfc822; %[1]s\r\nAction: %[2]s\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user\r\n\r\n--b--\r\n", about, action)
	return m
}
