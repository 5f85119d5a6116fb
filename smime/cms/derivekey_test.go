package cms

import (
	"bytes"
	"crypto/x509"
	"errors"
	"testing"
)

// RFC 9709 appendices A and B: AES-128-GCM and AES-128-CBC.
func TestDeriveContentKeyVectors(t *testing.T) {
	key := unhex(t, "c702e7d0a9e064b09ba55245fb733cf3")
	for _, tc := range []struct{ cipher, want string }{
		{"301b0609608648016503040106300e040c5c79058ba2f43447639d29e2", "2124ffb29fac4e0fbbc7d5d87492bff3"},
		{"301d06096086480165030401020410651f722ffd512c52fe072e507d72b377", "9cd102c52f1e19ece8729b35bfeceb50"},
	} {
		if got, err := deriveContentKey(key, unhex(t, tc.cipher)); err != nil || !bytes.Equal(got, unhex(t, tc.want)) {
			t.Errorf("%x, %v, want %s", got, err, tc.want)
		}
	}
}

func TestDerivedKeyRoundTrip(t *testing.T) {
	id := newIdentity(t, "rsa2048")
	for _, c := range permitted(AES128CBC, AES256CBC, AES128GCM, AES256GCM, ChaCha20Poly1305) {
		e := derivedKey(t, id, c)
		if e.Cipher != c || !e.DerivedKey || e.Authenticated != c.Authenticated() || e.Sound() != nil {
			t.Errorf("%s: parsed as %s, derived %v, authenticated %v, %v", c, e.Cipher, e.DerivedKey, e.Authenticated, e.Sound())
		}
		if got, err := e.Decrypt(0, id.key, DecryptOptions{}); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: %q, %v", c, got, err)
		}
	}
}

func derivedKey(t *testing.T, id *identity, c Cipher) *EnvelopedData {
	t.Helper()
	o, err := Encrypt(EncryptRequest{Content: [][]byte{content}, Recipients: []*x509.Certificate{id.cert}, Cipher: c, DeriveKey: true})
	if err != nil {
		t.Fatal(err)
	}
	e, err := ParseEnvelopedData(o.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// The attack that RFC 9709 is against: the key of a message in AES-GCM is used with
// another cipher that the attacker names. Here it is the plain one.
func TestDerivedKeyBindsTheCipher(t *testing.T) {
	id := newIdentity(t, "rsa2048")
	e := derivedKey(t, id, AES256GCM)
	e.DerivedKey = false
	if _, err := e.Decrypt(0, id.key, DecryptOptions{}); !errors.Is(err, ErrDecrypt) {
		t.Errorf("without the derivation: %v", err)
	}
	e.DerivedKey = true
	e.derivedFor = bytes.Clone(e.derivedFor)
	e.derivedFor[len(e.derivedFor)-1] ^= 1
	if _, err := e.Decrypt(0, id.key, DecryptOptions{}); !errors.Is(err, ErrDecrypt) {
		t.Errorf("with another cipher: %v", err)
	}
}

func TestMalformedDerivation(t *testing.T) {
	nested := func(depth int) []byte {
		var b builder
		b.algorithm(oidAES256CBC, null())
		for range depth {
			var outer builder
			outer.algorithm(oidCEKHKDF, b)
			b = outer
		}
		in := newCursor(b)
		return in.algorithm().params
	}
	for _, tc := range []struct {
		name   string
		params []byte
		want   error
	}{
		{"absent", nil, ErrMalformed},
		{"null", null(), ErrMalformed},
	} {
		e := EnvelopedData{alg: algorithm{[]byte(oidCEKHKDF), tc.params}}
		if err := e.readDerivation(); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	e := EnvelopedData{Type: TypeEnveloped, alg: algorithm{[]byte(oidCEKHKDF), nested(2)}}
	if err := e.readDerivation(); err != nil {
		t.Fatal(err)
	}
	if _, err := e.opener(DecryptOptions{}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("a derivation inside a derivation: %v", err)
	}
}
