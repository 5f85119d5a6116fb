package test

import (
	"bytes"
	"testing"
)

// inFooter is how the footer of rule "footed" is written.
const inFooter = "registered in N=C3=BCrnberg"

// testFooter: the gateway's signature covers the footer; where the author signed,
// the footer stands beside what was signed and the author's signature is good.
func (d *deployment) testFooter(t *testing.T) {
	m := newMail(t, alice, "bob@footed.example")
	want(t, d.send(t, m), m.to[0], "accepted")
	content, err := d.openssl.Verify(d.arrived(t, m, m.to[0]).Data)
	if err != nil || !bytes.Contains(content, []byte(inFooter)) || !bytes.Contains(content, []byte(secret)) {
		t.Errorf("%v: what is signed is\n%s", err, content)
	}

	entity := []byte("Content-Type: text/plain\r\n\r\nsigned by the author\r\nwith blanks  \r\n")
	m = newMail(t, alice, "bob@footed.example")
	m.id, m.entity = "signed."+m.id, clearSigned(t, d, entity, alice)
	want(t, d.send(t, m), m.to[0], "accepted")
	got := entityOf(d.arrived(t, m, m.to[0]).Data)
	if _, rest, ok := bytes.Cut(got, []byte("Content-Type: multipart/signed")); !ok || !bytes.HasPrefix(got, []byte("Content-Type: multipart/mixed")) {
		t.Errorf("the structure is\n%s", got)
	} else if inner := append([]byte("MIME-Version: 1.0\r\nContent-Type: multipart/signed"), rest...); !bytes.Contains(got, []byte(inFooter)) {
		t.Errorf("no footer in\n%s", got)
	} else if content, err := d.openssl.Verify(inner); err != nil || !bytes.Equal(canonical(content), entity) {
		t.Errorf("the author's signature broke: %v: %q", err, content)
	}
}
