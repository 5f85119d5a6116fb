package smime

import (
	"bytes"
	"crypto/x509"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// What is signed as a draft and encrypted is what is signed, written and encrypted: it
// opens to the same, whatever of it had to be encoded, for each copy, and the draft
// itself is the message that was signed.
func TestSignDraft(t *testing.T) {
	w := newWorld(t)
	to := []*x509.Certificate{w.bob.Certificate}
	author := w.issue("alice@example.org", "p256") // no two signatures are the same
	check := func(t *testing.T, text string, o SignOptions, e EncryptOptions) {
		t.Helper()
		m := mail(t, "Bcc: secret@example.org\n"+text)
		o.Time = w.now
		d, err := SignDraft(m, author, o)
		if err != nil {
			t.Fatal(err)
		}
		written, err := d.Message()
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			m, err := EncryptDraft(d, to, e)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(m.Bytes(), []byte("secret@")) || !Inspect(m).Encrypted {
				t.Errorf("%q", m.Bytes())
			}
			opened := Open(t.Context(), m, w.options(w.bob))
			if r := opened.Report; r.Result != certs.Pass || strings.Join(r.Layers, " ") != "enveloped signed" {
				t.Errorf("%s %s %s %v", r.Result, r.Reason, r.Detail, r.Layers)
			}
			if got, want := opened.Message.Body(), written.Body(); !bytes.Equal(got, want) {
				t.Errorf("opens to %q, want %q", got, want)
			}
		}
	}
	for name, text := range samples {
		t.Run(name, func(t *testing.T) {
			check(t, text, SignOptions{}, EncryptOptions{})
			check(t, text, SignOptions{Opaque: true}, EncryptOptions{Cipher: cms.AES256GCM})
		})
	}
	d, err := SignDraft(mail(t, "From: a@b\n\nx\n"), w.alice, SignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := EncryptDraft(d, to, EncryptOptions{Headers: HeadersCipher}); err == nil {
		t.Error("a header that the signature does not protect was promised to be hidden")
	}
}

// The signed form of what is encrypted is never in memory by itself.
func TestSignedDraftIsNotWritten(t *testing.T) {
	w := newWorld(t)
	const size = 8 << 20
	m, err := message.Parse([]byte("From: a@b\r\n\r\n" + strings.Repeat(strings.Repeat("x", 62)+"\r\n", size/64)))
	if err != nil {
		t.Fatal(err)
	}
	allocated := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			d, err := SignDraft(m, w.alice, SignOptions{Time: w.now})
			if err == nil {
				_, err = EncryptDraft(d, []*x509.Certificate{w.bob.Certificate}, EncryptOptions{})
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	}).AllocedBytesPerOp()
	if allocated > size*3/2 {
		t.Errorf("%d octets for a message of %d", allocated, size)
	}
}
