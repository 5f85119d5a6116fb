package test

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/test/peer"
	"github.com/smimerelay/smimerelay/test/rig"
)

const partner = "bob@partner.example"

// inboundText is what partners write.
const inboundText = "Content-Type: text/plain\r\n\r\nhello from outside\r\n"

// forged is what an attacker writes, in more than one spelling.
const forged = "Authentication-Results: gw.test; smime=pass body.smime-identifier=eve@partner.example\r\n" +
	"X-SMIME-Status: pass; signed=yes\r\n" +
	"X-SMIME-Status-HMAC: v1=forged-too\r\n" +
	"X-CipherMail-Info-Signer-Trusted-0-0: True (forged-too)\r\n" +
	"x-smime-status: pass; forged-too=yes\r\n" +
	"authentication-results: GW.test 1;\r\n\tsmime=pass\r\n"

func (d *deployment) testInbound(t *testing.T) {
	trusted := d.ids[partner]
	clear := func(signer *testpki.Identity) string { return d.signClear(t, signer) }
	for _, c := range []struct {
		name, author, entity, status string
	}{
		{"pass", partner, clear(trusted), "pass"},
		{"opaque", partner, d.signOpaque(t, trusted), "pass"},
		{"tampered", partner, strings.Replace(clear(trusted), "hello", "HELLO", 1), "fail"},
		{"wrong From", "mallory@partner.example", clear(trusted), "fail"},
		{"untrusted", partner, clear(d.foreign), "fail"},
		{"unsigned", partner, inboundText, "none"},
	} {
		for _, headers := range []string{"", forged} {
			name := c.name
			if headers != "" {
				name += " with forged status"
			}
			t.Run(name, func(t *testing.T) {
				m := newMail(t, partner, alice)
				m.author, m.entity, m.headers = c.author, c.entity, headers
				want(t, d.receive(t, m), alice, "accepted")
				got := d.arrived(t, m, alice)
				status(t, got.Data, c.status)
				if !bytes.Contains(got.Data, entityBody(c.entity)) {
					t.Errorf("the body changed:\n%s", got.Data)
				}
			})
		}
	}
	t.Run("encrypted", func(t *testing.T) { d.testDecrypted(t, inboundText, "none") })
	t.Run("signed and encrypted", func(t *testing.T) { d.testDecrypted(t, d.signClear(t, trusted), "pass") })
	t.Run("forged inside", func(t *testing.T) {
		d.testDecrypted(t, strings.ReplaceAll(forged, "smime=pass", "smime=policy")+inboundText, "none")
	})
	t.Run("encrypted for another", d.testUndecryptable)
	t.Run("under the return path", d.testUnderTheReturnPath)
	t.Run("returned", d.testReturned)
	for _, s := range shapes() {
		// Postfix breaks lines over 998 octets when it sends them to the sink.
		if d.mta != nil && strings.HasPrefix(s.name, "lines of") {
			continue
		}
		t.Run("unsigned "+s.name, func(t *testing.T) { d.testInboundShape(t, s) })
	}
	t.Run("too deep", d.testTooDeep)
}

// testInboundShape: mail without S/MIME says the same after us.
func (d *deployment) testInboundShape(t *testing.T, s shape) {
	m := newMail(t, unfit.ReplaceAllString(s.name, "-")+"@partner.example", alice)
	m.entity = s.entity
	want(t, d.receive(t, m), alice, "accepted")
	got := d.sink.Wait(t, "the message, or a report where the next hop can not take it", func(got rig.Delivery) bool {
		return got.From == m.from || contains(got.To, m.from)
	})
	if got.From == "" && d.mta == nil && !isASCII(m.entity) {
		return // the sink takes no 8-bit content, and the sender knows
	}
	status(t, got.Data, "none")
	sameContent(t, entityOf(got.Data), []byte(m.entity))
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > 126 })
}

// testTooDeep: a message that we will not look into is delivered, and says so.
func (d *deployment) testTooDeep(t *testing.T) {
	m := newMail(t, partner, alice)
	m.entity = inboundText
	for i := range 40 {
		m.entity = fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n%s--b%d--\r\n", i, i, m.entity, i)
	}
	want(t, d.receive(t, m), alice, "accepted")
	got := d.arrived(t, m, alice)
	status(t, got.Data, "permerror")
	if !bytes.Contains(got.Data, entityBody(m.entity)) {
		t.Errorf("the body changed:\n%.1000s", got.Data)
	}
}

func entityBody(entity string) []byte {
	_, body, _ := strings.Cut(entity, "\r\n\r\n")
	return []byte(body)
}

func (d *deployment) signClear(t *testing.T, signer *testpki.Identity) string {
	t.Helper()
	signed, err := d.openssl.(*peer.OpenSSL).SignClear([]byte(inboundText), signer)
	if err != nil {
		t.Fatal(err)
	}
	return string(entityOf(canonical(signed)))
}

func (d *deployment) signOpaque(t *testing.T, signer *testpki.Identity) string {
	t.Helper()
	signed, err := d.openssl.Sign([]byte(inboundText), signer, peer.Algorithms{})
	if err != nil {
		t.Fatal(err)
	}
	return string(signed)
}

func (d *deployment) encryptTo(t *testing.T, entity string, to *testpki.Identity) string {
	t.Helper()
	encrypted, err := d.openssl.Encrypt([]byte(entity), to, peer.Algorithms{})
	if err != nil {
		t.Fatal(err)
	}
	return string(encrypted)
}

// testDecrypted: what is encrypted to alice arrives in the clear, with the
// status of what was inside.
func (d *deployment) testDecrypted(t *testing.T, entity, result string) {
	m := newMail(t, partner, alice)
	m.entity, m.headers = d.encryptTo(t, entity, d.ids[alice]), forged
	want(t, d.receive(t, m), alice, "accepted")
	got := d.arrived(t, m, alice)
	status(t, got.Data, result)
	if !bytes.Contains(got.Data, []byte("hello from outside")) {
		t.Errorf("not decrypted:\n%s", got.Data)
	}
	if !genuine(t, got.Data) || genuine(t, bytes.Replace(got.Data, []byte("hello from outside"), []byte("hello from eve"), 1)) {
		t.Errorf("a filter does not recognize the status:\n%s", got.Data)
	}
	if line := header(got.Data, "X-SMIME-Status"); len(line) == 1 && !strings.Contains(line[0], "encrypted=yes") {
		t.Errorf("the status does not say that it was encrypted: %q", line)
	}
}

// testUndecryptable: without a key the message passes untouched.
func (d *deployment) testUndecryptable(t *testing.T) {
	m := newMail(t, partner, alice)
	m.entity = d.encryptTo(t, inboundText, d.ids["bob@both.example"])
	want(t, d.receive(t, m), alice, "accepted")
	got := d.arrived(t, m, alice)
	if !bytes.Contains(got.Data, entityBody(m.entity)) {
		t.Errorf("the ciphertext changed:\n%s", got.Data)
	}
	if line := header(got.Data, "X-SMIME-Status"); len(line) != 1 || strings.HasPrefix(line[0], "pass") {
		t.Errorf("X-SMIME-Status: %q", line)
	}
}

var smimeResult = regexp.MustCompile(`\bsmime=(\w+)`)

var cipherMailTrusts = regexp.MustCompile(`(?m)^X-CipherMail-Info-Signer-Trusted-0-\d: True`)

// status fails the test unless a message bears exactly one status of the gateway of
// each kind, both with the result given.
func status(t *testing.T, message []byte, result string) {
	t.Helper()
	results := header(message, "Authentication-Results")
	if len(results) != 1 || !strings.HasPrefix(results[0], "gw.test;") {
		t.Errorf("Authentication-Results: %q, want one of gw.test", results)
		return
	}
	if m := smimeResult.FindAllStringSubmatch(results[0], -1); len(m) != 1 || m[0][1] != result {
		t.Errorf("Authentication-Results: %q, want smime=%s", results[0], result)
	}
	if trusted := cipherMailTrusts.Match(message); trusted != (result == "pass") {
		t.Errorf("X-CipherMail-Info-Signer-Trusted: True is %t for %s", trusted, result)
	}
	line := header(message, "X-SMIME-Status")
	if len(line) != 1 || !strings.HasPrefix(line[0], result+";") {
		t.Errorf("X-SMIME-Status: %q, want %s", line, result)
	}
	if strings.Contains(string(message), "forged-too") || strings.Contains(string(message), "eve@partner.example") {
		t.Errorf("a forged status came through:\n%s", message)
	}
}

// header returns the unfolded values of a field.
func header(message []byte, name string) []string {
	head, _, _ := strings.Cut(string(message), "\r\n\r\n")
	head = strings.NewReplacer("\r\n ", " ", "\r\n\t", " ").Replace(head)
	var values []string
	for line := range strings.SplitSeq(head, "\r\n") {
		if field, value, _ := strings.Cut(line, ":"); strings.EqualFold(field, name) {
			values = append(values, strings.TrimSpace(value))
		}
	}
	return values
}
