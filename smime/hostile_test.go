package smime

import (
	"bytes"
	"compress/zlib"
	"encoding/asn1"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime/message"
)

// compressed makes a CompressedData (RFC 3274 section 1.1), which we never send.
func compressed(t testing.TB, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	if _, err := z.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	marshal := func(v any) asn1.RawValue {
		der, err := asn1.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return asn1.RawValue{FullBytes: der}
	}
	explicit := func(v asn1.RawValue) asn1.RawValue {
		return marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: v.FullBytes})
	}
	data := struct {
		Version   int
		Algorithm struct{ OID asn1.ObjectIdentifier }
		Content   struct {
			Type  asn1.ObjectIdentifier
			Value asn1.RawValue
		}
	}{}
	data.Algorithm.OID = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 8}
	data.Content.Type = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	data.Content.Value = explicit(marshal(b.Bytes()))
	return marshal(struct {
		Type  asn1.ObjectIdentifier
		Value asn1.RawValue
	}{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 9}, explicit(marshal(data))}).FullBytes
}

// pkcs7 makes a message of a CMS object.
func pkcs7(t testing.TB, object []byte) *message.Message {
	t.Helper()
	m, err := mail(t, text).Apply(message.Change{Entity: &message.Entity{
		Fields: []message.Field{message.RawField("Content-Type", "application/pkcs7-mime; name=smime.p7z"), message.RawField("Content-Transfer-Encoding", "base64")},
		Body:   []message.Piece{message.Base64(message.Octets(object))},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestCompressed(t *testing.T) {
	w := newWorld(t)
	content := []byte("Content-Type: text/plain\r\n\r\nsqueezed\r\n")
	plain := w.open(pkcs7(t, compressed(t, content)))
	expect(t, plain, certs.None, "")
	if len(plain.Report.Layers) != 1 || plain.Report.Layers[0] != "compressed" || plain.Decrypted {
		t.Errorf("%+v", plain.Report)
	}
	signed := w.sign(t, pkcs7(t, compressed(t, content)), w.alice, SignOptions{})
	expect(t, w.open(signed), certs.Pass, "")
	secret := encrypt(t, pkcs7(t, compressed(t, content)), EncryptOptions{}, w.bob)
	if o := w.open(secret, w.bob); string(o.Message.Body()) != "squeezed\r\n" {
		t.Errorf("%q, %+v", o.Message.Body(), o.Report)
	}
	secret = encrypt(t, signed, EncryptOptions{}, w.bob)
	if o := w.open(secret, w.bob); o.Message.Root().MediaType != "multipart/signed" {
		t.Errorf("a signature was broken: %q", o.Message.Header())
	}
}

// Memory is asked for before it is taken; without it the message is no bad one.
func TestCompressedTakesReservedMemory(t *testing.T) {
	w := newWorld(t)
	noise := make([]byte, 3<<20)
	rand.NewChaCha8([32]byte{}).Read(noise)
	m := pkcs7(t, compressed(t, append([]byte("\r\n"), noise...)))
	for limit, want := range map[int64]bool{64 << 20: false, 2 << 20: true, 0: true} {
		left := limit
		o := w.options()
		o.Reserve = func(n int64) bool {
			left -= n
			return left >= 0
		}
		opened := Open(t.Context(), m, o)
		if opened.NoMemory != want {
			t.Errorf("%d octets: no memory: %t", limit, opened.NoMemory)
		}
		// It is gathered in blocks, each of which is reserved twice.
		if taken := limit - left; !want && (taken < int64(len(noise)) || taken > 2*int64(len(noise))+4<<20) {
			t.Errorf("%d octets reserved for %d", taken, len(noise))
		}
		if want && (opened.Message != m || opened.Report.Result != certs.TempError) {
			t.Errorf("%d octets: %+v", limit, opened.Report)
		}
	}
}

func TestCompressionBomb(t *testing.T) {
	w := newWorld(t)
	bomb := pkcs7(t, compressed(t, make([]byte, 40<<20)))
	used := allocated(func() { expect(t, w.open(bomb), certs.PermError, "malformed") })
	if used > 40<<20 {
		t.Errorf("took %d MB", used>>20)
	}
}

// Shapes that make a careless parser slow or deep.
func TestHostileShapes(t *testing.T) {
	w := newWorld(t)
	const size = 4 << 20
	head := "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=b\n\n"
	for name, rest := range map[string]string{
		"nested multiparts": strings.Repeat(strings.ReplaceAll(head, "\n\n", "\n\n--b\n"), 100_000),
		"nested messages":   strings.Repeat("Content-Type: message/rfc822\n\n", 100_000),
		"empty parts":       head + strings.Repeat("--b\n\n", size/5),
		"near delimiters":   head + strings.Repeat("--bb\n", size/5),
		"hyphens":           head + strings.Repeat("-", size),
		"hyphen lines":      head + strings.Repeat("--\n", size/3),
		"empty lines":       head + strings.Repeat("\n", size),
		"long boundary":     "Content-Type: multipart/mixed; boundary=\"" + strings.Repeat("b", 1<<20) + "\"\n\n" + strings.Repeat("--"+strings.Repeat("b", 500)+"\n", 5000),
		"fields":            "Content-Type: multipart/mixed; boundary=b\n\n--b\n" + strings.Repeat("a:b\n", size/4),
		"parameters":        "Content-Type: text/plain" + strings.Repeat(";a=b", size/8) + "\n\n",
		"continuations":     "Content-Type: text/plain" + strings.Repeat("; a*1=b; a*2=c", size/32) + "\n\n",
		"comments":          "Content-Type: text/plain " + strings.Repeat("(", size/2) + "\n\n",
		"addresses":         "To: " + strings.Repeat("a@b.example,", size/16) + "\n\n",
		"groups":            "To: " + strings.Repeat("a:;", size/8) + "\n\n",
		"folds":             "X: a\n" + strings.Repeat(" b\n", size/8) + "\n",
		"DER nest":          "Content-Type: application/pkcs7-mime\n\n" + strings.Repeat("\x30\x80", size/2),
		"base64 blanks":     "Content-Type: application/pkcs7-mime\nContent-Transfer-Encoding: base64\n\n" + strings.Repeat(" \n", size/2),
		"quoted":            "Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n" + strings.Repeat("=\n", size/2),
	} {
		t.Run(name, func(t *testing.T) {
			m := mail(t, rest)
			if o := w.open(m, w.bob); o.Report.Result == certs.Pass || o.Message != m {
				t.Errorf("%+v", o.Report)
			}
			_ = Inspect(m)
			_, _ = m.Addresses("To")
			if signed, err := Sign(m, w.bob, SignOptions{}); err == nil {
				if o := w.open(signed); len(o.Report.Signers) == 0 || o.Report.Signers[0].broken {
					t.Errorf("signed: %+v", o.Report)
				}
			}
		})
	}
}

// allocated returns how many octets f allocated in all, which is more than it
// ever held.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// What an operation takes beside the message it is given, for what comes large.
func TestMemory(t *testing.T) {
	w := newWorld(t)
	const size = 8 << 20
	m := sized(t, size)
	wide := mail(t, "Content-Type: text/plain\n\n"+strings.Repeat(strings.Repeat("x", 98)+"\n", size/100))
	single := mail(t, "Content-Type: image/png\nContent-Transfer-Encoding: base64\n\n"+strings.Repeat("QUJD", size/4)+"\n")
	signed := w.sign(t, m, w.bob, SignOptions{})
	secret := encrypt(t, m, EncryptOptions{}, w.bob)
	gcm := encrypt(t, m, EncryptOptions{Cipher: "aes-256-gcm"}, w.bob)
	for _, tt := range []struct {
		name  string
		given *message.Message
		limit float64 // of the size of what is given, which is held besides
		f     func(m *message.Message)
	}{
		{"sign", m, 1.5, func(m *message.Message) { w.sign(t, m, w.bob, SignOptions{}) }},
		{"sign wide lines", wide, 1.5, func(m *message.Message) { w.sign(t, m, w.bob, SignOptions{}) }},
		{"sign one long line", single, 1.5, func(m *message.Message) { w.sign(t, m, w.bob, SignOptions{}) }},
		{"sign opaque", m, 1.5, func(m *message.Message) { w.sign(t, m, w.bob, SignOptions{Opaque: true}) }},
		{"verify", signed, 0.1, func(m *message.Message) { w.open(m) }},
		{"encrypt", m, 1.5, func(m *message.Message) { encrypt(t, m, EncryptOptions{}, w.bob) }},
		{"encrypt GCM", m, 1.5, func(m *message.Message) { encrypt(t, m, EncryptOptions{Cipher: "aes-256-gcm"}, w.bob) }},
		{"decrypt", secret, 2, func(m *message.Message) { w.open(m, w.bob) }},
		{"decrypt GCM", gcm, 2, func(m *message.Message) { w.open(m, w.bob) }},
	} {
		used := float64(allocated(func() { tt.f(tt.given) })) / float64(len(tt.given.Bytes()))
		t.Logf("%s: %.2f times the message, and the message", tt.name, used)
		if used > tt.limit {
			t.Errorf("%s allocates %.2f times the message, want at most %.2f", tt.name, used, tt.limit)
		}
	}
}
