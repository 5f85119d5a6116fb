package gateway

import (
	"crypto/x509"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// TestEncryptedAlready: who can read what is encrypted already is logged, and a rule
// may insist on it; a profile may find its cipher too weak.
func TestEncryptedAlready(t *testing.T) {
	w := newWorld(t)
	w.config.Profiles = map[string]Profile{"strong": {MinimumCipher: "aes-256"}, "gcm": {MinimumAuthenticated: true}}
	w.rules(
		enforce.Rule{Name: "check", Recipient: []string{"check.example"}, Encrypt: "require", AlreadyEncrypted: "check"},
		enforce.Rule{Name: "strong", Recipient: []string{"strong.example"}, Encrypt: "require", Profile: "strong"},
		enforce.Rule{Name: "gcm", Recipient: []string{"gcm.example"}, Encrypt: "require", Profile: "gcm"},
		enforce.Rule{Name: "default", Sign: "never", Encrypt: "require"},
	)
	mine, other := w.hasCertificate("x@check.example"), w.issue("other@check.example")
	for _, a := range []string{"x@strong.example", "x@gcm.example", "x@default.example"} {
		w.hasCertificate(a)
	}
	for _, tt := range []struct {
		to, cipher string
		reader     *x509.Certificate
		want, log  string
	}{
		{"x@check.example", "", mine.Certificate, "as it was", "already encrypted, passed unchanged"},
		{"x@check.example", "", other.Certificate, "refused", "not to a known certificate of x@check.example"},
		{"none@check.example", "", other.Certificate, "as it was", "already encrypted, passed unchanged"},
		{"x@default.example", "", other.Certificate, "as it was", "not encrypted to a known certificate of the recipient"},
		{"x@strong.example", "aes-256-cbc", other.Certificate, "as it was", ""},
		{"x@strong.example", "aes-128-cbc", other.Certificate, "encrypted", ""},
		{"none@strong.example", "aes-128-cbc", other.Certificate, "refused", ""},
		{"x@gcm.example", "aes-256-cbc", other.Certificate, "encrypted", ""},
		{"x@gcm.example", "aes-128-gcm", other.Certificate, "as it was", ""},
	} {
		m, err := smime.Encrypt(w.letter(tt.to), []*x509.Certificate{tt.reader}, smime.EncryptOptions{Cipher: cms.Cipher(tt.cipher)})
		if err != nil {
			t.Fatal(err)
		}
		w.log.Reset()
		o, err := w.process(w.envelope("out", "alice@own.example", tt.to), m)
		if err != nil {
			t.Fatal(err)
		}
		got := "refused"
		if len(o.Deliveries) == 1 {
			if got = "encrypted"; string(o.Deliveries[0].Message.Bytes()) == string(m.Bytes()) {
				got = "as it was"
			}
		}
		if got != tt.want || !strings.Contains(w.log.String(), tt.log) {
			t.Errorf("%s, %s: %s, want %s; log %s", tt.to, tt.cipher, got, tt.want, w.log)
		}
	}
}

// TestColleaguesBesideASecret: those of our own domains may have in the clear what is
// encrypted for others, and for no other recipient.
func TestColleaguesBesideASecret(t *testing.T) {
	w := newWorld(t)
	w.expect([]string{bob, "amy@own.example"}, "plain amy@own.example\nencrypted "+bob)
	w.expect([]string{bob, "amy@own.example", "y@plain.example"}, "plain amy@own.example\nencrypted "+bob+
		"\nrefused y@plain.example 550 5.7.1 the message is encrypted for other recipients (rule \"enc\") and may not go to y@plain.example in plaintext; send a separate message to y@plain.example")
}

// TestTriggersThatCannotBeRead: a wish that may be there is one for protection.
func TestTriggersThatCannotBeRead(t *testing.T) {
	w := newWorld(t)
	w.config.Triggers = testTriggers
	w.rules(enforce.Rule{Name: "default", Sign: "never", Encrypt: "never", UserControl: []string{"encrypt", "plain"}})
	for head, want := range map[string]string{
		"Subject: =?windows-1252?B?W2VuY3J5cHRdIEFuZ2Vib3QgZvxyIDUggA==?=": "encrypted " + bob,
		"Subject: =?x-unknown?q?W2VuY3J5cHRd?=":                            "encrypted " + bob,
		"Subject: =?x-unknown?q?a?= [plain]":                               "encrypted " + bob,
		"Subject: =?koi8-r?q?=D0=CC=C1=CE?=":                               "plain " + bob,
		"Subject: x\nX-SMIME: =?utf-8?q?encrypt?=":                         "encrypted " + bob,
		"Subject: x\nSensitivity: =?utf-8?q?Company-Confidential?=":        "encrypted " + bob,
		"Subject: x\nSensitivity: =?x-unknown?q?a?=":                       "encrypted " + bob,
	} {
		w.log.Reset()
		o, err := w.process(w.envelope("out", "alice@own.example", bob), parseMessage(t, "From: alice@own.example\nTo: "+bob+"\n"+head+"\n\n"+text+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := w.outline(o); got != want {
			t.Errorf("%q: %s, want %s", head, got, want)
		}
		if strings.Contains(head, "x-unknown") != strings.Contains(w.log.String(), "treated as a request for protection") {
			t.Errorf("%q: the log says %s", head, w.log)
		}
	}
}
