package test

import (
	"bytes"
	"encoding/base64"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/test/peer"
	"github.com/smimerelay/smimerelay/test/rig"
)

// shape is a form that a message may have.
type shape struct{ name, entity string }

// shapes are forms that break careless gateways.
func shapes() []shape {
	text := "Content-Type: text/plain; charset=us-ascii\r\n\r\n"
	return []shape{
		{"plain", text + "hello\r\nworld\r\n"},
		{"8-bit", "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" +
			"Grüße aus Köln, 你好\r\n"},
		{"html with an inline image", related()},
		{"5 MB attachment", attachment(5 << 20)},
		{"lines of 5,000 characters", text + strings.Repeat(strings.Repeat("long ", 1000)+"\r\n", 3)},
		{"begins with From", text + "From here on it is text.\r\nFrom: x\r\n"},
		{"trailing blanks", text + "two blanks  \r\na tab\t\r\n  \r\n-- \r\nsignature\r\n"},
		{"format=flowed", "Content-Type: text/plain; charset=us-ascii; format=flowed; delsp=yes\r\n\r\n" +
			"This line flows \r\ninto this one.\r\n>quoted \r\n>too\r\n"},
		{"dots", text + ".\r\n..\r\n.hidden\r\n"},
		{"empty body", text},
		{"no content type", "\r\njust text\r\n"},
		{"nested message", nested()},
		{"no final line end before the boundary", "Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\npreamble\r\n" +
			"--b\r\n\r\nfirst\r\n--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\n" +
			"Content-Transfer-Encoding: quoted-printable\r\n\r\nzwei=FC\r\n--b--\r\nepilogue\r\n"},
	}
}

func related() string {
	return "Content-Type: multipart/related; boundary=\"rel=1\"; type=\"text/html\"\r\n\r\n" +
		"--rel=1\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" +
		"<p>Schöne Grüße <img src=\"cid:image@test\"></p>\r\n" +
		"--rel=1\r\nContent-Type: image/png; name=\"=?utf-8?q?Bild?=.png\"\r\nContent-ID: <image@test>\r\n" +
		"Content-Disposition: inline; filename*=utf-8''Bild%20%C3%BC.png\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
		lines(noise(3000)) + "--rel=1--\r\n"
}

func attachment(size int) string {
	return "Content-Type: multipart/mixed; boundary=mixed\r\n\r\n" +
		"--mixed\r\nContent-Type: text/plain\r\n\r\nsee attachment\r\n" +
		"--mixed\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=big.pdf\r\n" +
		"Content-Transfer-Encoding: base64\r\n\r\n" + lines(noise(size)) + "--mixed--\r\n"
}

func nested() string {
	return "Content-Type: multipart/mixed; boundary=mixed\r\n\r\n" +
		"--mixed\r\nContent-Type: text/plain\r\n\r\nforwarded:\r\n" +
		"--mixed\r\nContent-Type: message/rfc822\r\nContent-Disposition: attachment\r\n\r\n" +
		"From: <someone@else.example>\r\nSubject: inner\r\nContent-Type: text/plain; charset=utf-8\r\n" +
		"Content-Transfer-Encoding: 8bit\r\n\r\nInneres mit Ümläuten\r\n--mixed--\r\n"
}

func noise(size int) []byte {
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// lines returns base64 in lines of 76 octets.
func lines(b []byte) string {
	var out strings.Builder
	for text := base64.StdEncoding.EncodeToString(b); text != ""; {
		n := min(76, len(text))
		out.WriteString(text[:n] + "\r\n")
		text = text[n:]
	}
	return out.String()
}

func (d *deployment) testShapes(t *testing.T) {
	for _, s := range shapes() {
		t.Run("signed "+s.name, func(t *testing.T) {
			m := newMail(t, alice, "bob@sign.example")
			m.entity = s.entity
			want(t, d.send(t, m), m.to[0], "accepted")
			got := d.arrived(t, m, m.to[0])
			plainest(t, got)
			d.verified(t, got.Data, m, d.openssl, d.gnupg)
		})
		t.Run("signed and encrypted "+s.name, func(t *testing.T) {
			m := newMail(t, alice, "bob@both.example")
			m.entity = s.entity
			want(t, d.send(t, m), m.to[0], "accepted")
			got := d.arrived(t, m, m.to[0])
			plainest(t, got)
			d.decrypted(t, got.Data, d.openssl, func(inner []byte) { d.verified(t, inner, m, d.openssl, d.gnupg) })
			d.decrypted(t, got.Data, d.gnupg, nil)
			d.decrypted(t, got.Data, d.nss, nil)
		})
		t.Run("encrypted "+s.name, func(t *testing.T) {
			m := newMail(t, norah, "bob@encrypt.example")
			m.entity = s.entity
			want(t, d.send(t, m), m.to[0], "accepted")
			got := d.arrived(t, m, m.to[0])
			d.decrypted(t, got.Data, d.openssl, func(inner []byte) { sameContent(t, inner, []byte(m.entity)) })
		})
	}
	t.Run("EC keys", d.testECKeys)
	t.Run("signed already", d.testSignedAlready)
}

// plainest fails the test where a message needs more than the oldest SMTP.
func plainest(t *testing.T, got rig.Delivery) {
	t.Helper()
	if strings.Contains(got.Params, "8BITMIME") || strings.Contains(got.Params, "SMTPUTF8") {
		t.Errorf("MAIL parameters %q", got.Params)
	}
	for line := range bytes.SplitSeq(got.Data, []byte("\r\n")) {
		if len(line) > 998 || bytes.ContainsAny(line, "\r\n\x00") {
			t.Fatalf("a line of %d octets, or with a bare CR, LF or NUL: %.100q", len(line), line)
		}
		if i := bytes.IndexFunc(line, func(r rune) bool { return r > 126 }); i >= 0 {
			t.Fatalf("8-bit octets: %.100q", line)
		}
	}
}

// verified lets each peer verify message, and compares what was signed with what
// was sent.
func (d *deployment) verified(t *testing.T, message []byte, m mail, peers ...peer.Peer) {
	t.Helper()
	for _, p := range peers {
		content, err := p.Verify(message)
		if err != nil {
			t.Errorf("%s does not verify: %v\n%.1500s", p.Name(), err, message)
			continue
		}
		sameContent(t, content, []byte(m.entity))
	}
}

// decrypted lets a peer decrypt message, which must not show the content, and
// hands the inner entity to check.
func (d *deployment) decrypted(t *testing.T, message []byte, p peer.Peer, check func([]byte)) {
	t.Helper()
	inner, err := p.Decrypt(message)
	if err != nil {
		t.Errorf("%s does not decrypt: %v\n%.1500s", p.Name(), err, message)
		return
	}
	if check != nil {
		check(canonical(inner))
	}
}

func (d *deployment) testECKeys(t *testing.T) {
	m := newMail(t, erika, "ec@both.example", "file@both.example", "bob@both.example")
	outcomes := d.send(t, m)
	for _, addr := range m.to {
		want(t, outcomes, addr, "accepted")
		got := d.arrived(t, m, addr)
		d.decrypted(t, got.Data, d.openssl, func(inner []byte) { d.verified(t, inner, m, d.openssl, d.gnupg) })
	}
}

// testSignedAlready sends what a mail program signed: not a bit of what is
// signed may change, and it gets no second signature.
func (d *deployment) testSignedAlready(t *testing.T) {
	entity := []byte("Content-Type: text/plain\r\n\r\nsigned by the author\r\nwith blanks  \r\n")
	signed := clearSigned(t, d, entity, alice)
	m := newMail(t, alice, "bob@sign.example", "bob@both.example")
	m.entity = signed
	outcomes := d.send(t, m)
	for _, addr := range m.to {
		want(t, outcomes, addr, "accepted")
	}
	check := func(message []byte) {
		t.Helper()
		content, err := d.openssl.Verify(message)
		if err != nil || !bytes.Equal(canonical(content), entity) {
			t.Errorf("the author's signature broke: %v: %q", err, content)
		}
	}
	check(d.arrived(t, m, "bob@sign.example").Data)
	d.decrypted(t, d.arrived(t, m, "bob@both.example").Data, d.openssl, check)
}

// clearSigned returns entity in a multipart/signed by a peer.
func clearSigned(t *testing.T, d *deployment, entity []byte, signer string) string {
	t.Helper()
	signed, err := d.openssl.(*peer.OpenSSL).SignClear(entity, d.ids[signer])
	if err != nil {
		t.Fatal(err)
	}
	return string(entityOf(canonical(signed)))
}
