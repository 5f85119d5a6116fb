package smime

import (
	"bytes"
	"crypto/x509"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// What is encrypted as a stream is what is encrypted in memory, but for its keys.
func TestEncryptStream(t *testing.T) {
	w := newWorld(t)
	const head = "From: alice@example.org\r\nTo: bob@example.org\r\nBcc: eve@example.org\r\nSubject: x\r\nMIME-Version: 1.0\r\n"
	attachment := strings.Repeat(strings.Repeat("QUJD", 19)+"\r\n", 20_000)
	multi := head + "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ngr\xfc\xdfe\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\n" + attachment + "--b--\r\n"
	for name, text := range map[string]string{
		"small":           head + "\r\nbody\r\n",
		"large":           multi,
		"LF":              strings.ReplaceAll(multi, "\r\n", "\n"),
		"mixed line ends": strings.Replace(multi, "QUJD\r\n", "QUJD\n", 1000),
		"no Content-Type": head + "\r\n" + attachment + "\xe4\r\n",
	} {
		want := encrypt(t, parse(t, text), EncryptOptions{Cipher: cms.AES128CBC}, w.alice)
		for form, r := range map[string]io.Reader{
			"seeker": strings.NewReader(text), "reader": iotest.HalfReader(strings.NewReader(text)),
		} {
			for _, o := range []EncryptOptions{{Cipher: cms.AES128CBC}, {Cipher: cms.AES256GCM, UseSKI: true}, {Headers: HeadersCipher}} {
				if s, ok := r.(io.Seeker); ok {
					if _, err := s.Seek(0, io.SeekStart); err != nil {
						t.Fatal(err)
					}
				} else {
					r = iotest.HalfReader(strings.NewReader(text))
				}
				var got bytes.Buffer
				if err := EncryptStream(&got, r, []*x509.Certificate{w.alice.Certificate}, o); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				m := parse(t, got.String())
				if o.Headers == HeadersOpen && (m.Get("Bcc") != "" || o.Cipher == cms.AES128CBC && !bytes.Equal(m.Header(), want.Header())) {
					t.Errorf("%s, %s: header %q", name, form, m.Header())
				}
				if form == "seeker" && o.Cipher == cms.AES128CBC && got.Len() != want.Size() {
					t.Errorf("%s: %d octets, and %d in memory", name, got.Len(), want.Size())
				}
				opened, wanted := w.open(m, w.alice), w.open(want, w.alice)
				if !opened.Decrypted || o.Headers == HeadersOpen && !bytes.Equal(opened.Message.Bytes(), wanted.Message.Bytes()) ||
					!bytes.Equal(opened.Message.Body(), wanted.Message.Body()) {
					t.Errorf("%s, %s: another message", name, form)
				}
			}
		}
	}
}

// A message that cannot be encrypted, or read to its end, is an error.
func TestEncryptStreamFailures(t *testing.T) {
	w := newWorld(t)
	to := []*x509.Certificate{w.alice.Certificate}
	large := "Content-Type: text/plain\r\n" + "\r\n" + strings.Repeat("line\r\n", 1<<18)
	for _, text := range []string{"Content-Type: text/html\r\n" + large, "X: \x00\r\n" + large, "no field\r\n" + large} {
		if err := EncryptStream(io.Discard, strings.NewReader(text), to, EncryptOptions{}); !errors.Is(err, message.ErrMalformed) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	for _, n := range []int{10, len(large)} {
		cut := io.MultiReader(strings.NewReader(large[:n]), iotest.ErrReader(io.ErrUnexpectedEOF))
		if err := EncryptStream(io.Discard, cut, to, EncryptOptions{}); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut off at %d: %v", n, err)
		}
	}
	if err := EncryptStream(io.Discard, strings.NewReader(large), nil, EncryptOptions{}); !errors.Is(err, cms.ErrUnsupported) {
		t.Error(err)
	}
}
