package test

import (
	"bytes"
	"strings"
	"testing"
)

func (d *deployment) testRecipients(t *testing.T) {
	t.Run("one refused", d.testReject)
	t.Run("one stripped", d.testStrip)
	t.Run("all stripped", d.testStripAll)
	t.Run("silent directory", d.testSilent)
	t.Run("different treatment", d.testCopies)
	t.Run("never in both forms", d.testMixed)
	t.Run("no identity", d.testNoIdentity)
	for local, reason := range map[string]string{
		"expired": "expired", "other": "", "signing": "", "untrusted": "", "none": "",
	} {
		t.Run("certificate "+local, func(t *testing.T) { d.testUnusable(t, local+"@both.example", reason) })
	}
}

// testReject: one recipient has no certificate and is refused, with a reason;
// the other gets the message.
func (d *deployment) testReject(t *testing.T) {
	m := newMail(t, alice, "bob@both.example", "none@both.example")
	outcomes := d.send(t, m)
	want(t, outcomes, "bob@both.example", "accepted")
	want(t, outcomes, "none@both.example", "refused")
	if text := outcomes["none@both.example"].text; !strings.Contains(text, "certificate") {
		t.Errorf("the refusal does not speak of a certificate: %q", text)
	}
	got := d.arrived(t, m, "bob@both.example")
	d.decrypted(t, got.Data, d.openssl, func(inner []byte) { d.verified(t, inner, m, d.openssl) })
	if d.perRecipient {
		d.notified(t, alice, "none@both.example")
	}
	d.onlyTo(t, m, "bob@both.example")
}

// testStrip: one recipient has no certificate and is removed; the other gets the
// message and the sender a notice.
func (d *deployment) testStrip(t *testing.T) {
	m := newMail(t, alice, "bob@strip.example", "none@strip.example")
	outcomes := d.send(t, m)
	want(t, outcomes, "bob@strip.example", "accepted")
	want(t, outcomes, "none@strip.example", "accepted")
	got := d.arrived(t, m, "bob@strip.example")
	d.decrypted(t, got.Data, d.openssl, func(inner []byte) { d.verified(t, inner, m, d.openssl) })
	notice := d.notified(t, alice, "none@strip.example")
	if bytes.Contains(notice.Data, []byte(secret)) {
		t.Errorf("the notice gives the content away:\n%s", notice.Data)
	}
	d.onlyTo(t, m, "bob@strip.example")
}

// testStripAll: no recipient is left. The sender must hear of it, whether by refusal
// or by notice.
func (d *deployment) testStripAll(t *testing.T) {
	m := newMail(t, erika, "none@strip.example")
	if outcome := d.send(t, m)["none@strip.example"]; outcome.word == "accepted" {
		d.notified(t, erika, "none@strip.example")
	}
	d.onlyTo(t, m)
}

// testSilent: it is unknown whether there is a certificate, so nothing leaves
// and the client is to try again.
func (d *deployment) testSilent(t *testing.T) {
	m := newMail(t, alice, "carol@silent.example")
	outcomes := d.send(t, m)
	want(t, outcomes, "carol@silent.example", "deferred")
	if text := outcomes["carol@silent.example"].text; !strings.Contains(text, "451 4.4.3") {
		t.Errorf("the reply is %q, want 451 4.4.3", text)
	}
	d.onlyTo(t, m)
}

// testUnusable: the only certificate will not do, and the reply says why.
func (d *deployment) testUnusable(t *testing.T, addr, reason string) {
	m := newMail(t, alice, addr)
	outcomes := d.send(t, m)
	want(t, outcomes, addr, "refused")
	if text := outcomes[addr].text; !strings.Contains(text, reason) {
		t.Errorf("the reply does not say %q: %q", reason, text)
	}
	d.onlyTo(t, m)
}

// testCopies: three recipients, three treatments, one message.
func (d *deployment) testCopies(t *testing.T) {
	m := newMail(t, alice, "bob@sign.example", "bob@both.example", "carol@rest.example")
	m.entity = "\r\nnot confidential\r\n"
	outcomes := d.send(t, m)
	for _, addr := range m.to {
		want(t, outcomes, addr, "accepted")
	}
	d.verified(t, d.arrived(t, m, "bob@sign.example").Data, m, d.openssl)
	d.decrypted(t, d.arrived(t, m, "bob@both.example").Data, d.openssl,
		func(inner []byte) { d.verified(t, inner, m, d.openssl) })
	sameContent(t, entityOf(d.arrived(t, m, "carol@rest.example").Data), []byte(m.entity))
}

// testMixed: what is encrypted for one does not go to another in the clear,
// unless the rule allows it.
func (d *deployment) testMixed(t *testing.T) {
	m := newMail(t, alice, "bob@encrypt.example", "carol@rest.example")
	outcomes := d.send(t, m)
	want(t, outcomes, "bob@encrypt.example", "accepted")
	d.arrived(t, m, "bob@encrypt.example")
	if outcomes["carol@rest.example"].word == "accepted" {
		d.notified(t, alice, "carol@rest.example")
	}
	d.onlyTo(t, m, "bob@encrypt.example")
}

// testNoIdentity: a signature is required and cannot be made.
func (d *deployment) testNoIdentity(t *testing.T) {
	m := newMail(t, norah, "bob@sign.example")
	want(t, d.send(t, m), "bob@sign.example", "deferred")
	d.onlyTo(t, m)
}

// onlyTo fails the test where a copy of m went to anybody else. All is settled
// by then: a outcome is known only when the last hop before us has answered.
func (d *deployment) onlyTo(t *testing.T, m mail, allowed ...string) {
	t.Helper()
	for _, got := range d.sink.All() {
		if got.From == "" || !strings.Contains(string(got.Data), "<"+m.id+">") {
			continue
		}
		for _, addr := range got.To {
			if !contains(allowed, addr) {
				t.Errorf("a copy went to %s:\n%.500s", addr, got.Data)
			}
		}
	}
}

// testLeaks looks at everything that arrived in all tests of this deployment: the
// secret is never in the clear towards a domain that must be encrypted.
func (d *deployment) testLeaks(t *testing.T) {
	for _, got := range d.sink.All() {
		for _, addr := range got.To {
			_, domain, _ := strings.Cut(addr, "@")
			if contains(encrypted, domain) && !enciphered(got.Data) {
				t.Errorf("in the clear to %s:\n%.2000s", addr, got.Data)
			}
		}
	}
}

// enciphered reports whether a message is nothing but ciphertext.
func enciphered(message []byte) bool {
	_, body, _ := bytes.Cut(message, []byte("\r\n\r\n"))
	found, err := leaves("", entityOf(message))
	return err == nil && len(found) == 1 && found[0].Type == "application/pkcs7-mime" &&
		strings.HasSuffix(strings.ToLower(found[0].Params["smime-type"]), "enveloped-data") &&
		!bytes.Contains(body, []byte(secret))
}
