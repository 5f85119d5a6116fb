package test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/test/peer"
	"github.com/smimerelay/smimerelay/test/rig"
)

// testClaims: what a message says of itself, or of its recipients, opens no way
// round a rule.
func (d *deployment) testClaims(t *testing.T) {
	t.Run("says it is encrypted", d.testFalseCiphertext)
	t.Run("says it is automatic", d.testAutomatic)
	t.Run("encrypted already", d.testEncryptedAlready)
	t.Run("hidden recipient", d.testHidden)
	t.Run("quoted local part", d.testQuoted)
	t.Run("upper case", d.testCase)
}

// testFalseCiphertext: the type says ciphertext and the body is none.
func (d *deployment) testFalseCiphertext(t *testing.T) {
	for name, body := range map[string]string{
		"text":        secret + "\r\n",
		"base64":      base64.StdEncoding.EncodeToString([]byte(secret)) + "\r\n",
		"empty":       "",
		"signed data": entityBodyOf(d.signOpaque(t, d.ids[alice])),
	} {
		t.Run(name, func(t *testing.T) {
			m := newMail(t, alice, "bob@encrypt.example")
			m.entity = "Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\n" +
				"Content-Transfer-Encoding: base64\r\n\r\n" + body
			if d.send(t, m)[m.to[0]].word == "accepted" {
				// Then it was encrypted, or the sender hears of the refusal.
				d.sink.Wait(t, "ciphertext or a report", func(got rig.Delivery) bool {
					return strings.Contains(string(got.Data), m.id) || got.From == "" && contains(got.To, alice)
				})
			}
			for _, got := range d.sink.All() {
				if got.From != "" && strings.Contains(string(got.Data), "<"+m.id+">") {
					d.decrypted(t, got.Data, d.openssl, nil)
				}
			}
		})
	}
}

func entityBodyOf(entity string) string { return string(entityBody(entity)) }

// testAutomatic: mail that calls itself automatic is encrypted like any other.
func (d *deployment) testAutomatic(t *testing.T) {
	m := newMail(t, alice, "bob@encrypt.example")
	m.headers = "Auto-Submitted: auto-generated\r\nPrecedence: bulk\r\n"
	want(t, d.send(t, m), m.to[0], "accepted")
	d.decrypted(t, d.arrived(t, m, m.to[0]).Data, d.openssl, func(inner []byte) { sameContent(t, inner, []byte(m.entity)) })
}

// testEncryptedAlready: what a mail program encrypted passes as it is.
func (d *deployment) testEncryptedAlready(t *testing.T) {
	m := newMail(t, alice, "bob@encrypt.example")
	m.entity = d.encryptTo(t, inboundText, d.ids["bob@encrypt.example"])
	want(t, d.send(t, m), m.to[0], "accepted")
	d.decrypted(t, d.arrived(t, m, m.to[0]).Data, d.openssl, func(inner []byte) { sameContent(t, inner, []byte(inboundText)) })
}

// testHidden: a recipient who is in neither To nor Cc is not named in the
// ciphertext that the others get.
func (d *deployment) testHidden(t *testing.T) {
	m := newMail(t, alice, "bob@both.example", "ec@both.example")
	m.visible = []string{"bob@both.example"}
	m.headers = "Bcc: <ec@both.example>\r\n"
	outcomes := d.send(t, m)
	for _, addr := range m.to {
		want(t, outcomes, addr, "accepted")
		got := d.arrived(t, m, addr)
		d.decrypted(t, got.Data, d.openssl, func(inner []byte) { d.verified(t, inner, m, d.openssl) })
		if len(header(got.Data, "Bcc")) > 0 {
			t.Errorf("the copy for %s has a Bcc field", addr)
		}
	}
	got := d.arrived(t, m, "bob@both.example")
	if contains(got.To, "ec@both.example") || peer.Names(got.Data, d.ids["ec@both.example"]) {
		t.Errorf("bob's copy names the hidden recipient: %q", got.To)
	}
}

// testQuoted: a local part that needs quotes arrives with them, and names no mailbox
// else on the way.
func (d *deployment) testQuoted(t *testing.T) {
	for name, addr := range map[string]string{
		"blank":   `"odd name"@rest.example`,
		"smuggle": `"victim@corp.example> ORCPT=rfc822;x"@rest.example`,
	} {
		t.Run(name, func(t *testing.T) {
			m := newMail(t, alice, addr)
			m.visible = []string{"undisclosed@rest.example"}
			want(t, d.send(t, m), addr, "accepted")
			got := d.arrived(t, m, addr)
			if len(got.To) != 1 || got.To[0] != addr {
				t.Errorf("%s became %q", addr, got.To)
			}
			d.onlyTo(t, m, addr)
		})
	}
}

// testCase: an address is the same in capitals.
func (d *deployment) testCase(t *testing.T) {
	m := newMail(t, "Alice@Corp.Example", "BOB@BOTH.EXAMPLE")
	want(t, d.send(t, m), m.to[0], "accepted")
	got := d.arrived(t, m, m.to[0])
	d.decrypted(t, got.Data, d.openssl, func(inner []byte) { d.verified(t, inner, m, d.openssl) })
	if local, _, _ := strings.Cut(got.To[0], "@"); local != "BOB" {
		t.Errorf("the recipient became %q", got.To)
	}
}
