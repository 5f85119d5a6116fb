package cms

import (
	"bytes"
	"crypto"
	"crypto/mlkem"
	"crypto/x509"
	"errors"
	"fmt"
	"testing"
	"time"
)

// Where no peer knows an algorithm, we are our own.
func TestSignVerify(t *testing.T) {
	for _, name := range []string{"ed25519", "p256", "rsa2048"} {
		id := newIdentity(t, name)
		when := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		o, err := Sign(SignRequest{Content: [][]byte{content}, Signers: []Signer{{Certificate: id.cert, Key: id.key, Time: when,
			Ciphers: []Cipher{AES256GCM, AES128CBC}, EncryptionCertificate: id.cert}}})
		if err != nil {
			t.Fatal(err)
		}
		s, err := ParseSignedData(o.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		r := s.Verify(VerifyOptions{})[0]
		if r.Err != nil || !r.SigningTime.Equal(when) || !r.Certificate.Equal(id.cert) || !r.EncryptionID.Matches(id.cert) {
			t.Errorf("%s: %+v", name, r)
		}
		if got := fmt.Sprint(r.Capabilities.Ciphers()); got != "[aes-256-gcm aes-128-cbc]" {
			t.Errorf("%s: capabilities %s", name, got)
		}
		if r := s.Verify(VerifyOptions{Content: [][]byte{[]byte("other")}})[0]; !errors.Is(r.Err, ErrDigest) || r.Capabilities != nil {
			t.Errorf("%s: other content: %v", name, r.Err)
		}
	}
}

func TestEncryptDecryptX25519(t *testing.T) {
	key, cert := newX25519(t)
	for _, c := range permitted(AES128CBC, AES256CBC, AES128GCM, AES256GCM, ChaCha20Poly1305) {
		testRoundTrip(t, c, key, cert)
	}
}

func TestEncryptDecryptMLKEM(t *testing.T) {
	small, err := mlkem.GenerateKey768()
	if err != nil {
		t.Fatal(err)
	}
	large, err := mlkem.GenerateKey1024()
	if err != nil {
		t.Fatal(err)
	}
	certs := []*x509.Certificate{
		issueFor(t, "mlkem768", spki(oidMLKEM768, nil, small.EncapsulationKey().Bytes())),
		issueFor(t, "mlkem1024", spki(oidMLKEM1024, nil, large.EncapsulationKey().Bytes())),
	}
	for _, c := range []Cipher{AES256CBC, AES256GCM, AES128GCM} {
		testRoundTrip(t, c, small, certs[0])
		testRoundTrip(t, c, large, certs[1])
	}
}

func TestEncryptDecryptChaCha(t *testing.T) {
	id := newIdentity(t, "p256")
	testRoundTrip(t, ChaCha20Poly1305, id.key, id.cert)
}

func testRoundTrip(t *testing.T, c Cipher, key crypto.PrivateKey, cert *x509.Certificate) {
	t.Helper()
	for _, pieces := range [][][]byte{nil, {content}, {content[:3], nil, content[3:]}} {
		o, err := Encrypt(EncryptRequest{Content: pieces, Recipients: []*x509.Certificate{cert}, Cipher: c})
		if err != nil {
			t.Fatal(err)
		}
		e, err := ParseEnvelopedData(o.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if e.Cipher != c || e.Authenticated != c.Authenticated() {
			t.Errorf("%s: parsed as %s, authenticated %v", c, e.Cipher, e.Authenticated)
		}
		got, err := e.Decrypt(0, key, DecryptOptions{})
		if want := bytes.Join(pieces, nil); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %q, %v", c, got, err)
		}
	}
}
