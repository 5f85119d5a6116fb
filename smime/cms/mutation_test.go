package cms

import (
	"bytes"
	"crypto"
	"testing"
	"time"
)

// Each octet of an object is changed in several ways, and the object cut at each
// length. What still verifies or opens must be what was signed or sealed.

// mutate calls f with every mutation of der.
func mutate(der []byte, f func(changed []byte)) {
	for i := range der {
		for _, x := range []byte{0x01, 0x20, 0x80, 0xff} {
			changed := bytes.Clone(der)
			changed[i] ^= x
			f(changed)
		}
		f(bytes.Clone(der[:i]))
		f(append(bytes.Clone(der[:i]), der[i+1:]...))
		f(append(append(bytes.Clone(der[:i]), 0), der[i:]...))
	}
}

func TestMutatedSignature(t *testing.T) {
	for _, name := range []string{"p256", "ed25519"} {
		id := newIdentity(t, name)
		when := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		o, err := Sign(SignRequest{Content: [][]byte{content}, Signers: []Signer{{Certificate: id.cert, Key: id.key, Time: when}}})
		if err != nil {
			t.Fatal(err)
		}
		good := 0
		mutate(o.Bytes(), func(der []byte) {
			s, err := ParseSignedData(der)
			if err != nil {
				return
			}
			for _, r := range s.Verify(VerifyOptions{AllowWeak: true}) {
				if r.Err != nil {
					continue
				}
				good++
				key, err := PublicKey(r.Certificate)
				if err != nil || !id.key.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(key) {
					t.Error("verified with another key")
				}
				if s.Content == nil || !bytes.Equal(s.Content.Bytes(), content) || s.ContentType != TypeData || !r.SigningTime.Equal(when) {
					t.Errorf("verified a content that was not signed: %x", der)
				}
			}
		})
		if good == 0 {
			t.Error("the version is not signed: some mutation should verify")
		}
	}
}

func TestMutatedCiphertext(t *testing.T) {
	id := newIdentity(t, "p256")
	for _, c := range permitted(AES128GCM, ChaCha20Poly1305) {
		o, err := Encrypt(EncryptRequest{Content: [][]byte{content}, Recipients: certificates(id), Cipher: c})
		if err != nil {
			t.Fatal(err)
		}
		good := 0
		mutate(o.Bytes(), func(der []byte) {
			for _, inPlace := range []bool{false, true} {
				e, err := ParseEnvelopedData(der)
				if err != nil {
					return
				}
				for i := range e.Recipients {
					got, err := e.Decrypt(i, id.key, DecryptOptions{AllowWeak: true, InPlace: inPlace})
					if err != nil {
						continue
					}
					good++
					if !bytes.Equal(got, content) || e.ContentType != TypeData {
						t.Errorf("%s opened to %q", c, got)
					}
				}
			}
		})
		if good == 0 {
			t.Error("the version is not sealed: some mutation should open")
		}
	}
}
