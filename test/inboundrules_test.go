package test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/test/rig"
)

// Recipients for whom inbound rules do more than deliver.
const (
	strictOwn = "strict@corp.example" // no bad signatures
	signedOwn = "signed@corp.example" // signed mail only
	keptOwn   = "kept@corp.example"   // bad signatures wait in quarantine
)

// inboundRules are those of every gateway in these tests.
const inboundRules = `
[[inbound_rule]]
name = "strict"
recipient = ["` + strictOwn + `"]
signed = "yes"
except_result = ["pass"]
on_result = "reject"

[[inbound_rule]]
name = "signed only"
recipient = ["` + signedOwn + `"]
signed = "no"
on_result = "reject"

[[inbound_rule]]
name = "kept"
recipient = ["` + keptOwn + `"]
result = ["fail"]
on_result = "quarantine"
notify = ["recipient"]
`

// testInboundRules: what an inbound rule refuses is refused while the client waits, or
// by Postfix's report, and what it keeps arrives when it is released.
func (d *deployment) testInboundRules(t *testing.T) {
	good := d.signClear(t, d.ids[partner])
	bad := strings.Replace(good, "hello", "HELLO", 1)
	for _, c := range []struct {
		name, to, entity, word, text string
	}{
		{"good", strictOwn, good, "accepted", ""},
		{"bad", strictOwn, bad, "refused", "its S/MIME signature is not valid: content changed"},
		{"signed", signedOwn, good, "accepted", ""},
		{"not signed", signedOwn, inboundText, "refused", "it has no S/MIME signature"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMail(t, partner, c.to)
			m.entity = c.entity
			outcomes := d.receive(t, m)
			want(t, outcomes, c.to, c.word)
			if !strings.Contains(outcomes[c.to].text, c.text) {
				t.Errorf("the client hears %q", outcomes[c.to].text)
			}
			if c.word == "accepted" {
				d.arrived(t, m, c.to)
			}
		})
	}
	t.Run("quarantine", func(t *testing.T) { d.testQuarantine(t, bad) })
}

func (d *deployment) testQuarantine(t *testing.T, bad string) {
	m := newMail(t, partner, keptOwn)
	m.entity = bad
	want(t, d.receive(t, m), keptOwn, "accepted")
	d.sink.Wait(t, "the notice", func(got rig.Delivery) bool {
		return got.From == "" && contains(got.To, keptOwn) && bytes.Contains(got.Data, []byte("A message is in quarantine"))
	})
	d.onlyTo(t, m)
	list := d.gateway.Run(t, "queue", "held")
	id, _, _ := strings.Cut(list, " ")
	if !strings.Contains(list, "in quarantine") || !strings.Contains(list, "for <"+keptOwn+">: its S/MIME signature is not valid: content changed") {
		t.Fatalf("held is\n%s", list)
	}
	d.gateway.Run(t, "queue", "release", id)
	got := d.arrived(t, m, keptOwn)
	status(t, got.Data, "fail")
	if !bytes.Contains(got.Data, entityBody(bad)) {
		t.Errorf("the body changed:\n%s", got.Data)
	}
}
