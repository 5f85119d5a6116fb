package test

import (
	"strings"
	"testing"
)

// moreRules are those whose cases are in this file.
const moreRules = `
[[rule]]
name = "all-or-none"
recipient = ["whole.example"]
sign = "never"
encrypt = "require"
no_certificate = "reject-message"

[[rule]]
name = "choice"
recipient = ["choice.example"]
sign = "never"
encrypt = "never"
user_control = ["sign", "encrypt"]

[[rule]]
name = "best"
recipient = ["best.example"]
sign = "prefer"
encrypt = "prefer"

[[rule]]
name = "hold"
recipient = ["hold.example"]
sign = "never"
encrypt = "require"
no_certificate = "hold"

[[rule]]
name = "trial"
recipient = ["trial.example"]
sign = "require"
encrypt = "require"
mode = "report"

[[rule]]
name = "footed"
recipient = ["footed.example"]
sign = "require"
encrypt = "never"
footer = "Corp Ltd, registered in Nürnberg"

[[rule]]
name = "tagged"
recipient = ["tagged.example"]
sign = "require"
encrypt = "require"
subject_tag = "[tagged]"
sender_copy = true
`

// testRules: what rules can say beyond signing and encrypting comes out the same
// in every deployment.
func (d *deployment) testRules(t *testing.T) {
	t.Run("all or none", d.testWhole)
	t.Run("the sender's choice", d.testChoice)
	t.Run("a wish that is not granted", d.testLocked)
	t.Run("as well as can be", d.testBest)
	t.Run("held", d.testHold)
	t.Run("report only", d.testTrial)
	t.Run("tag and sender copy", d.testTagged)
	t.Run("footer", d.testFooter)
}

// testWhole: one recipient without a certificate, and no recipient gets the message.
func (d *deployment) testWhole(t *testing.T) {
	m := newMail(t, alice, "bob@whole.example", "none@whole.example", "carol@rest.example")
	outcomes := d.send(t, m)
	for _, addr := range m.to {
		want(t, outcomes, addr, "refused")
	}
	d.onlyTo(t, m)
	m = newMail(t, alice, "bob@whole.example")
	m.id = "again." + m.id
	want(t, d.send(t, m), "bob@whole.example", "accepted")
	d.decrypted(t, d.arrived(t, m, "bob@whole.example").Data, d.openssl, func(inner []byte) { sameContent(t, inner, []byte(m.entity)) })
}

// testChoice: a word in the subject or a field asks for encryption, and leaves
// no trace.
func (d *deployment) testChoice(t *testing.T) {
	for name, ask := range map[string]func(*mail){
		"subject": func(m *mail) { m.subject = "[Encrypt] about something" },
		"field":   func(m *mail) { m.subject, m.headers = "about something", "X-SMIME: encrypt\r\n" },
	} {
		t.Run(name, func(t *testing.T) {
			m := newMail(t, alice, "bob@choice.example")
			ask(&m)
			want(t, d.send(t, m), m.to[0], "accepted")
			got := d.arrived(t, m, m.to[0])
			d.decrypted(t, got.Data, d.openssl, func(inner []byte) { sameContent(t, inner, []byte(m.entity)) })
			if s := header(got.Data, "Subject"); len(s) != 1 || s[0] != "about something" || len(header(got.Data, "X-SMIME")) > 0 {
				t.Errorf("subject %q", s)
			}
		})
	}
	t.Run("no wish", func(t *testing.T) {
		m := newMail(t, alice, "bob@choice.example")
		want(t, d.send(t, m), m.to[0], "accepted")
		sameContent(t, entityOf(d.arrived(t, m, m.to[0]).Data), []byte(m.entity))
	})
	t.Run("cannot be met", func(t *testing.T) {
		m := newMail(t, alice, "none@choice.example")
		m.subject = "[encrypt] about something"
		want(t, d.send(t, m), m.to[0], "refused")
		d.onlyTo(t, m)
	})
}

// testLocked: the rule does not let the sender ask for plain text.
func (d *deployment) testLocked(t *testing.T) {
	m := newMail(t, alice, "bob@encrypt.example")
	m.subject = "[plain] about something"
	want(t, d.send(t, m), m.to[0], "accepted")
	got := d.arrived(t, m, m.to[0])
	d.decrypted(t, got.Data, d.openssl, func(inner []byte) { sameContent(t, inner, []byte(m.entity)) })
	if s := header(got.Data, "Subject"); len(s) != 1 || s[0] != "about something" {
		t.Errorf("subject %q", s)
	}
}

// testBest: encrypted where all have a certificate, signed where one
// has none.
func (d *deployment) testBest(t *testing.T) {
	m := newMail(t, alice, "bob@best.example")
	want(t, d.send(t, m), m.to[0], "accepted")
	d.decrypted(t, d.arrived(t, m, m.to[0]).Data, d.openssl, func(inner []byte) { d.verified(t, inner, m, d.openssl) })
	m = newMail(t, alice, "bob@best.example", "none@best.example")
	m.id = "both." + m.id
	outcomes := d.send(t, m)
	for _, addr := range m.to {
		want(t, outcomes, addr, "accepted")
		d.verified(t, d.arrived(t, m, addr).Data, m, d.openssl)
	}
}

// testTrial: a rule that only reports changes nothing.
func (d *deployment) testTrial(t *testing.T) {
	m := newMail(t, norah, "none@trial.example")
	want(t, d.send(t, m), m.to[0], "accepted")
	sameContent(t, entityOf(d.arrived(t, m, m.to[0]).Data), []byte(m.entity))
}

// testTagged: the subject is tagged outside of the signature, and the sender can
// read what was sent.
func (d *deployment) testTagged(t *testing.T) {
	m := newMail(t, alice, "bob@tagged.example")
	want(t, d.send(t, m), m.to[0], "accepted")
	got := d.arrived(t, m, m.to[0])
	d.decrypted(t, got.Data, d.openssl, func(inner []byte) { d.verified(t, inner, m, d.openssl) })
	if s := header(got.Data, "Subject"); len(s) != 1 || !strings.HasPrefix(s[0], "[tagged] about ") {
		t.Errorf("subject %q", s)
	}
}
