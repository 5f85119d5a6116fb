package cms

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"strings"
	"testing"
)

// envelope is an EnvelopedData that is put together part by part, so that any part
// can be wrong.
type envelope struct {
	cipher     string
	params     []byte
	content    []byte
	key        []byte // the encrypted content key of the one recipient info
	kind       string // algorithm of the key transport
	originator []byte
	attributes []byte
	further    []byte // recipient infos besides
}

func (e envelope) der(t *testing.T) []byte {
	cert := newIdentity(t, "rsa2048").cert
	return built(func(b *builder) {
		outer := b.open(tagSequence)
		b.oid(oidEnvelopedData)
		explicit := b.open(tagContext0)
		m := b.open(tagSequence)
		b.int(2)
		b.raw(e.originator)
		set := b.open(tagSet)
		if e.key != nil {
			info := b.open(tagSequence)
			b.int(0)
			b.identifier(cert, false)
			b.algorithm(e.kind, null())
			b.tlv(tagOctetString, e.key)
			b.close(info)
		}
		b.raw(e.further)
		b.close(set)
		eci := b.open(tagSequence)
		b.oid(oidData)
		b.algorithm(e.cipher, e.params)
		b.tlv(tagContext, e.content)
		b.close(eci)
		b.raw(e.attributes)
		b.close(m)
		b.close(explicit)
		b.close(outer)
	})
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// TestSound: an object keeps its content secret only if it is one that can be
// decrypted and holds nothing that can be read without a key.
func TestSound(t *testing.T) {
	iv := func(n int) []byte { return built(func(b *builder) { b.tlv(tagOctetString, random(n)) }) }
	good := func() envelope {
		return envelope{cipher: oidAES256CBC, params: iv(16), content: random(64), key: random(256), kind: oidRSA}
	}
	tagged := func(tag byte, text string) []byte {
		return built(func(b *builder) {
			m := b.open(tag)
			b.tlv(tagOctetString, []byte(text))
			b.close(m)
		})
	}
	const secret = "SECRET, as long as you like, and readable for everybody on the way. "
	for name, edit := range map[string]func(*envelope){
		"unknown cipher":         func(e *envelope) { e.cipher = "\x2a\x03\x04" },
		"AEAD in EnvelopedData":  func(e *envelope) { e.cipher = oidAES256GCM },
		"no whole blocks":        func(e *envelope) { e.content = random(63) },
		"no content":             func(e *envelope) { e.content = nil },
		"short vector":           func(e *envelope) { e.params = iv(8) },
		"text as ciphertext":     func(e *envelope) { e.content = []byte(strings.Repeat(secret, 16)) },
		"text within ciphertext": func(e *envelope) { e.content = append(append(random(32), secret[:64]...), random(32)...) },
		"text of two octets": func(e *envelope) {
			e.content = []byte(strings.Join(strings.Split(strings.Repeat(secret, 8), ""), "\x00")[:1024])
		},
		"text in another charset":   func(e *envelope) { e.content = bytes.Repeat([]byte("\xd3\xc5\xcb\xd2\xc5\xd4 \xd0"), 64) },
		"no recipient":              func(e *envelope) { e.key = nil },
		"unknown key transport":     func(e *envelope) { e.kind = "\x2a\x03\x04" },
		"short key":                 func(e *envelope) { e.key = random(64) },
		"text as key":               func(e *envelope) { e.key = []byte(strings.Repeat(secret, 4)[:256]) },
		"text in attributes":        func(e *envelope) { e.attributes = tagged(tagContext0+1, secret) },
		"text about the originator": func(e *envelope) { e.originator = tagged(tagContext0, secret) },
		"text for a password":       func(e *envelope) { e.further = tagged(tagContext0+3, secret) },
		"text for a shared key":     func(e *envelope) { e.further = tagged(tagContext0+2, secret) },
		"text for something else": func(e *envelope) {
			e.further = built(func(b *builder) {
				m := b.open(tagContext0 + 4)
				b.oid("\x2a\x03\x04")
				b.raw(tagged(tagSequence, secret))
				b.close(m)
			})
		},
	} {
		e := good()
		edit(&e)
		env, err := ParseEnvelopedData(e.der(t))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if env.Sound() == nil {
			t.Errorf("%s: sound", name)
		}
	}
	for name, edit := range map[string]func(*envelope){
		"as it is":         func(*envelope) {},
		"3DES":             func(e *envelope) { e.cipher, e.params = oidDES3CBC, iv(8) },
		"password besides": func(e *envelope) { e.further = tagged(tagContext0+3, "\x01\x02") },
	} {
		e := good()
		edit(&e)
		env, err := ParseEnvelopedData(e.der(t))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if err := env.Sound(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWhatIsWrittenIsSound: for every cipher and every kind of key.
func TestWhatIsWrittenIsSound(t *testing.T) {
	for _, c := range permitted(AES128CBC, AES256CBC, AES128GCM, AES256GCM, ChaCha20Poly1305) {
		for _, key := range []string{"rsa2048", "p256", "p384"} {
			o, err := Encrypt(EncryptRequest{Content: [][]byte{[]byte("meet at ten")}, Recipients: []*x509.Certificate{newIdentity(t, key).cert}, Cipher: c})
			if err != nil {
				t.Fatal(err)
			}
			env, err := ParseEnvelopedData(o.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			if err := env.Sound(); err != nil {
				t.Errorf("%s for %s: %v", c, key, err)
			}
		}
	}
}
