package test

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testpki"
	"github.com/smimerelay/smimerelay/test/rig"
)

// These get their certificates after their mail.
const (
	lateInLDAP = "ldap@hold.example"
	lateInFile = "file@hold.example"
)

// testHold: who has no certificate yet is accepted and held, the sender is told
// once, and the message arrives encrypted as soon as there is one.
func (d *door) testHold(t *testing.T) {
	m := newMail(t, alice, lateInLDAP, lateInFile, "never@hold.example")
	fates := d.send(t, m)
	for _, addr := range m.to {
		want(t, fates, addr, "accepted")
	}
	notice := d.told(t, alice, "never@hold.example")
	for _, addr := range m.to {
		if !bytes.Contains(notice.Data, []byte("Final-Recipient: rfc822; "+addr+"\r\nAction: delayed")) {
			t.Errorf("the notice does not name %s:\n%s", addr, notice.Data)
		}
	}
	if bytes.Contains(notice.Data, []byte(secret)) {
		t.Errorf("the notice gives the content away:\n%s", notice.Data)
	}
	d.onlyTo(t, m)

	// A folder is noticed at once; of a directory its administrator tells us.
	d.store(t, "certificates/late.pem", testpki.EncodeCertificates(d.ids[lateInFile].Certificate))
	d.arrivesLate(t, m, lateInFile)
	d.slapd.AddPerson(t, lateInLDAP, d.ids[lateInLDAP].Certificate)
	d.queue(t, "release", "--all")
	d.arrivesLate(t, m, lateInLDAP)

	list := d.queue(t, "held")
	id, _, _ := strings.Cut(list, " ")
	if !strings.Contains(list, "for <never@hold.example>: no valid S/MIME certificate") || strings.Contains(list, "<"+lateInLDAP+">") {
		t.Fatalf("held is\n%s", list)
	}
	if shown := d.queue(t, "show", id); !strings.Contains(shown, "<never@hold.example>") {
		t.Errorf("shown is\n%s", shown)
	}
	if text := d.queue(t, "show", "--message", id); !strings.Contains(text, secret) || !strings.Contains(text, "<"+m.id+">") {
		t.Errorf("the message is\n%s", text)
	}
	d.queue(t, "return", "--reason", "has left the company", id)
	d.sink.Wait(t, "the report", func(got rig.Delivery) bool {
		return got.From == "" && contains(got.To, alice) && bytes.Contains(got.Data, []byte("has left the company")) && !bytes.Contains(got.Data, []byte(secret))
	})
	if list := d.queue(t, "held"); list != "0 held\n" {
		t.Errorf("held is\n%s", list)
	}
	d.onlyTo(t, m, lateInLDAP, lateInFile)
}

// arrivesLate waits for what was held: it is what was sent, once.
func (d *door) arrivesLate(t *testing.T, m mail, addr string) {
	t.Helper()
	got := d.arrived(t, m, addr)
	d.decrypted(t, got.Data, d.openssl, func(inner []byte) { sameContent(t, inner, []byte(m.entity)) })
	times := 0
	for _, got := range d.sink.All() {
		if contains(got.To, addr) && strings.Contains(string(got.Data), "<"+m.id+">") {
			times++
		}
	}
	if times != 1 {
		t.Errorf("%s got it %d times", addr, times)
	}
}

// queue runs a verb on the gateway's queue and returns what it prints.
func (d *door) queue(t *testing.T, args ...string) string {
	t.Helper()
	return d.run(t, append([]string{"queue"}, args...)...)
}

// run runs a verb with the gateway's configuration and returns what it prints.
func (d *door) run(t *testing.T, args ...string) string {
	t.Helper()
	args = append(args, "--config", d.gateway.Config())
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}
