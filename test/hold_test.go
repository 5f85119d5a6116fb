package test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/test/rig"
)

// These get their certificates after their mail.
const (
	lateInLDAP = "ldap@hold.example"
	lateInFile = "file@hold.example"
	// These two get theirs into the store: imported, and harvested from
	// signed mail.
	lateInStore = "store@hold.example"
	lateAuthor  = "author@hold.example"
)

// testHold: who has no certificate yet is accepted and held, the sender is notified
// once, and the message arrives encrypted as soon as there is one.
func (d *deployment) testHold(t *testing.T) {
	m := newMail(t, alice, lateInLDAP, lateInFile, lateInStore, lateAuthor, "never@hold.example")
	outcomes := d.send(t, m)
	for _, addr := range m.to {
		want(t, outcomes, addr, "accepted")
	}
	notice := d.notified(t, alice, "never@hold.example")
	for _, addr := range m.to {
		if !bytes.Contains(notice.Data, []byte("Final-Recipient: rfc822; "+addr+"\r\nAction: delayed")) {
			t.Errorf("the notice does not name %s:\n%s", addr, notice.Data)
		}
	}
	if bytes.Contains(notice.Data, []byte(secret)) {
		t.Errorf("the notice gives the content away:\n%s", notice.Data)
	}
	d.onlyTo(t, m)

	// A folder and the store are noticed at once; of a directory its administrator
	// tells us.
	d.store(t, "certificates/late.pem", testpki.EncodeCertificates(d.ids[lateInFile].Certificate))
	d.arrivesLate(t, m, lateInFile)
	d.store(t, "late-store.pem", testpki.EncodeCertificates(d.ids[lateInStore].Certificate))
	d.gateway.Run(t, "cert", "import", filepath.Join(d.dir, "late-store.pem"))
	d.arrivesLate(t, m, lateInStore)
	answer := newMail(t, lateAuthor, alice)
	answer.id, answer.entity = "answer."+answer.id, d.signClear(t, d.ids[lateAuthor])
	want(t, d.receive(t, answer), alice, "accepted")
	d.arrivesLate(t, m, lateAuthor)
	d.slapd.AddPerson(t, lateInLDAP, d.ids[lateInLDAP].Certificate)
	d.gateway.Run(t, "queue", "release", "--all")
	d.arrivesLate(t, m, lateInLDAP)

	list := d.gateway.Run(t, "queue", "held")
	id, _, _ := strings.Cut(list, " ")
	if !strings.Contains(list, "for <never@hold.example>: no valid S/MIME certificate") || strings.Contains(list, "<"+lateInLDAP+">") {
		t.Fatalf("held is\n%s", list)
	}
	if shown := d.gateway.Run(t, "queue", "show", id); !strings.Contains(shown, "<never@hold.example>") {
		t.Errorf("shown is\n%s", shown)
	}
	if text := d.gateway.Run(t, "queue", "show", "--message", id); !strings.Contains(text, secret) || !strings.Contains(text, "<"+m.id+">") {
		t.Errorf("the message is\n%s", text)
	}
	d.gateway.Run(t, "queue", "return", "--reason", "has left the company", id)
	d.sink.Wait(t, "the report", func(got rig.Delivery) bool {
		return got.From == "" && contains(got.To, alice) && bytes.Contains(got.Data, []byte("has left the company")) && !bytes.Contains(got.Data, []byte(secret))
	})
	if list := d.gateway.Run(t, "queue", "held"); list != "0 held\n" {
		t.Errorf("held is\n%s", list)
	}
	d.onlyTo(t, m, lateInLDAP, lateInFile, lateInStore, lateAuthor)
}

// arrivesLate waits for what was held: it is what was sent, once.
func (d *deployment) arrivesLate(t *testing.T, m mail, addr string) {
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
