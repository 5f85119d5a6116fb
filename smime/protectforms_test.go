package smime

import (
	"crypto"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// The payloads of the encrypted messages in the appendix of RFC 9788, in its forms and with
// other texts: the baseline policy, that for shy senders, which also hides names and the
// time zone, with and without a legacy display, as answers, and of one part and of several.
var (
	formHeader = "Subject: plans\r\nMessage-ID: <form@example.org>\r\nFrom: Alice <alice@example.org>\r\nTo: Bob <bob@example.org>\r\nDate: Sat, 20 Feb 2021 10:03:02 -0500\r\n"
	formOuter  = map[string]string{
		"baseline": "HP-Outer: Subject: [...]\r\nHP-Outer: Message-ID: <form@example.org>\r\nHP-Outer: From: Alice <alice@example.org>\r\nHP-Outer: To: Bob <bob@example.org>\r\nHP-Outer: Date: Sat, 20 Feb 2021 10:03:02 -0500\r\n",
		"shy":      "HP-Outer: Subject: [...]\r\nHP-Outer: Message-ID: <form@example.org>\r\nHP-Outer: From: alice@example.org\r\nHP-Outer: To: bob@example.org\r\nHP-Outer: Date: Sat, 20 Feb 2021 15:03:02 +0000\r\n",
	}
	formAnswer = "In-Reply-To: <first@example.org>\r\nReferences: <first@example.org>\r\n"
	formBodies = map[string]string{
		"one part":                 "Content-Type: text/plain; charset=\"us-ascii\"; hp=\"cipher\"\r\n\r\nmeet at ten\r\n",
		"one part, legacy display": "Content-Type: text/plain; charset=\"us-ascii\"; hp=\"cipher\"; hp-legacy-display=\"1\"\r\n\r\nSubject: plans\r\n\r\nmeet at ten\r\n",
		"complex": "Content-Type: multipart/mixed; boundary=\"m\"; hp=\"cipher\"\r\n\r\n--m\r\nContent-Type: multipart/alternative; boundary=\"a\"\r\n\r\n" +
			"--a\r\nContent-Type: text/plain; charset=\"us-ascii\"; hp-legacy-display=\"1\"\r\n\r\nSubject: plans\r\n\r\nmeet at ten\r\n" +
			"--a\r\nContent-Type: text/html; charset=\"us-ascii\"; hp-legacy-display=\"1\"\r\n\r\n<html><body><div class=\"header-protection-legacy-display\"><pre>Subject: plans</pre></div><p>meet at ten</p></body></html>\r\n--a--\r\n" +
			"--m\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=\r\n--m--\r\n",
	}
)

// outside is the header that the HP-Outer fields of a form say is outside.
func outside(hpOuter string) string { return strings.ReplaceAll(hpOuter, "HP-Outer: ", "") }

// signedEntity is what is signed, opaque, in an entity.
func signedEntity(t *testing.T, w *world, payload string) string {
	t.Helper()
	object, err := cms.Sign(cms.SignRequest{Content: [][]byte{[]byte(payload)},
		Signers: []cms.Signer{{Certificate: w.alice.Certificate, Key: w.alice.Key.(crypto.Signer), Time: w.now}}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := parse(t, "\r\n").Draft(message.Change{Entity: objectEntity("signed-data", object)})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if _, err := d.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestHeaderProtectionForms: of each form the real header comes to the surface, once, no
// HP-Outer field does, and the text stays.
func TestHeaderProtectionForms(t *testing.T) {
	w := newWorld(t)
	for policy, hpOuter := range formOuter {
		for form, body := range formBodies {
			for _, answer := range []string{"", formAnswer} {
				for _, signed := range []bool{false, true} {
					hp := hpOuter
					for line := range strings.Lines(answer) {
						hp += "HP-Outer: " + line
					}
					payload := formHeader + answer + hp + body
					m := parse(t, outside(hp)+"MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n")
					result := certs.None
					if signed {
						payload, result = signedEntity(t, w, payload), certs.Pass
					}
					opened := w.open(seal(t, w, m, []byte(payload)), w.bob)
					name := strings.Join([]string{policy, form, answer}, ", ")
					if !opened.Decrypted || opened.Report.Result != result && opened.Report.Reason != ReasonStale {
						t.Fatalf("%s, signed %v: %+v", name, signed, opened.Report)
					}
					want := parse(t, formHeader+answer+"\r\n")
					for _, f := range want.Fields() {
						if all := opened.Message.All(f.Name); len(all) != 1 || all[0] != f.Value() {
							t.Errorf("%s: %s is %q, want %q", name, f.Name, all, f.Value())
						}
					}
					if opened.Message.Has("HP-Outer") || !signed && !strings.Contains(string(opened.Message.Bytes()), "meet at ten") {
						t.Errorf("%s:\n%s", name, opened.Message.Bytes())
					}
				}
			}
		}
	}
}
