package smime

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// openTwice opens a message twice: neither its bytes nor the outcome may change.
func openTwice(t testing.TB, name string, raw []byte, o OpenOptions) *Opened {
	t.Helper()
	m, err := message.Parse(raw)
	if err != nil {
		return nil
	}
	before := bytes.Clone(raw)
	first := Open(context.Background(), m, o)
	delivered := bytes.Clone(first.Message.Bytes())
	second := Open(context.Background(), m, o)
	if !bytes.Equal(m.Bytes(), before) {
		t.Errorf("%s: opening changed the message", name)
	}
	if !bytes.Equal(first.Message.Bytes(), delivered) || !bytes.Equal(second.Message.Bytes(), delivered) {
		t.Errorf("%s: opened again, another message is delivered", name)
	}
	if a, b := reportText(t, first), reportText(t, second); a != b || first.Decrypted != second.Decrypted {
		t.Errorf("%s: opened again, the report is another:\n%s\n%s", name, a, b)
	}
	return first
}

// unchanged opens a message with a key that may not be the right one. A random key
// takes its place then, so that with CBC one time in 256 the padding fits, and the
// outcome is not the same each time.
func unchanged(t testing.TB, name string, raw []byte, o OpenOptions) *Opened {
	t.Helper()
	before, m := bytes.Clone(raw), parse(t, string(raw))
	opened := Open(context.Background(), m, o)
	if !bytes.Equal(m.Bytes(), before) {
		t.Errorf("%s: opening changed the message", name)
	}
	return opened
}

func reportText(t testing.TB, o *Opened) string {
	t.Helper()
	text, err := json.Marshal(o.Report)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// transferEncodings are the ways in which a CMS object can lie in a message.
var transferEncodings = []string{"base64", "quoted-printable", "binary", "8bit", ""}

// encodedAs returns m, whose content is base64, in another transfer encoding.
func encodedAs(t testing.TB, m *message.Message, encoding string) []byte {
	t.Helper()
	object, err := m.Root().Decode()
	if err != nil {
		t.Fatal(err)
	}
	var header strings.Builder
	for _, f := range m.Fields() {
		if !f.Is("Content-Transfer-Encoding") {
			header.Write(f.Raw)
		}
	}
	if encoding != "" {
		header.WriteString("Content-Transfer-Encoding: " + encoding + "\r\n")
	}
	header.WriteString("\r\n")
	body := object
	switch encoding {
	case "base64":
		body = testpki.Base64(object)
	case "quoted-printable":
		body = nil
		for _, c := range object {
			body = append(body, '=', "0123456789ABCDEF"[c>>4], "0123456789ABCDEF"[c&15])
			if len(body)%72 == 0 {
				body = append(body, "=\r\n"...)
			}
		}
	}
	return append([]byte(header.String()), body...)
}

// A message never changes, whatever is tried with it and however that ends: the
// next recipient's key, or the delivery as received, needs it whole.
func TestOpenTwice(t *testing.T) {
	w := newWorld(t)
	// A key that the message does not fit, under the name of one that it does.
	stranger := *w.issue("stranger@example.org", "rsa2048")
	wrong := &certs.Identity{Key: stranger.Key, Certificate: w.alice.Certificate}
	for _, cipher := range []cms.Cipher{"aes-256-cbc", "aes-256-gcm"} {
		inner := encrypt(t, mail(t, text), EncryptOptions{Cipher: cipher}, w.alice)
		for _, encoding := range transferEncodings {
			raw := encodedAs(t, inner, encoding)
			name := string(cipher) + " in " + encoding
			right := openTwice(t, name, raw, w.options(w.alice))
			if right == nil || !right.Decrypted {
				t.Errorf("%s: not decrypted", name)
			}
			unchanged(t, name+", wrong key", raw, w.options(wrong))
			unchanged(t, name+", several keys", raw, w.options(wrong, w.alice))
			openTwice(t, name+", damaged", append(bytes.Clone(raw[:len(raw)-40]), make([]byte, 40)...), w.options(w.alice))

			// Encrypted twice: the inner object is part of a message as well.
			again := sealTo(t, mail(t, text), raw, w.bob.Certificate)
			for _, outer := range transferEncodings {
				twice := encodedAs(t, again, outer)
				openTwice(t, name+" in "+outer, twice, w.options(w.bob, w.alice))
				half := unchanged(t, name+" in "+outer+", wrong key inside", twice, w.options(w.bob, wrong))
				if half.Report.Reason == ReasonDecrypt && !bytes.Equal(decoded(t, half.Message), decoded(t, inner)) {
					t.Errorf("%s in %s: the inner ciphertext is delivered changed", name, outer)
				}
			}
		}
	}
}

// decoded returns the content of a message without its transfer encoding.
func decoded(t testing.TB, m *message.Message) []byte {
	t.Helper()
	data, err := m.Root().Decode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}
