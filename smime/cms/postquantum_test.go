package cms

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// newPostQuantum makes a self-signed certificate of a scheme of ML-DSA.
func newPostQuantum(t *testing.T, s pkix.Scheme) (crypto.Signer, *x509.Certificate) {
	t.Helper()
	key, err := pkix.GenerateMLDSA(s)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(7), NotAfter: time.Now().Add(time.Hour), SubjectKeyId: []byte("key"), IsCA: true, BasicConstraintsValid: true}
	der, err := pkix.CreateCertificate(tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := pkix.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, cert
}

func TestSignVerifyMLDSA(t *testing.T) {
	for s, least := range map[pkix.Scheme]crypto.Hash{
		pkix.MLDSA44Scheme: crypto.SHA256, pkix.MLDSA65Scheme: crypto.SHA384, pkix.MLDSA87Scheme: crypto.SHA512,
	} {
		key, cert := newPostQuantum(t, s)
		if !pkix.SignedBy(cert, cert, false) {
			t.Errorf("%s: the certificate does not verify", s)
		}
		for _, digest := range []crypto.Hash{0, crypto.SHA256, crypto.SHA384, crypto.SHA512} {
			o, err := Sign(SignRequest{Content: [][]byte{content}, Signers: []Signer{{Certificate: cert, Key: key, Digest: digest}}})
			if digest != 0 && digest < least {
				if !errors.Is(err, ErrUnsupported) { // RFC 9882 section 3.3
					t.Errorf("%s with %v: %v", s, digest, err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			signed, err := ParseSignedData(o.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			if r := signed.Verify(VerifyOptions{})[0]; r.Err != nil || r.Signature != SignatureScheme(s) {
				t.Errorf("%s with %v: %v, %s", s, digest, r.Err, r.Signature)
			}
			if r := signed.Verify(VerifyOptions{Content: [][]byte{[]byte("other")}})[0]; !errors.Is(r.Err, ErrDigest) {
				t.Errorf("%s: other content: %v", s, r.Err)
			}
			bent := o.Bytes()
			bent[len(bent)-1] ^= 1
			if signed, err = ParseSignedData(bent); err != nil {
				t.Fatal(err)
			}
			if r := signed.Verify(VerifyOptions{})[0]; !errors.Is(r.Err, ErrSignature) {
				t.Errorf("%s: changed signature: %v", s, r.Err)
			}
		}
	}
}

func TestMLDSAWithoutAttributes(t *testing.T) {
	key, cert := newPostQuantum(t, pkix.MLDSA44Scheme)
	o, err := Sign(SignRequest{Content: [][]byte{content}, Signers: []Signer{{Certificate: cert, Key: key, Bare: true}}})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := ParseSignedData(o.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if r := signed.Verify(VerifyOptions{AllowBare: true})[0]; r.Err != nil || !r.Bare {
		t.Errorf("%+v", r)
	}
}

// All parameter sets, and an RSA recipient in the same message.
func TestEncryptDecryptKEM(t *testing.T) {
	id := newIdentity(t, "rsa2048")
	recipients := []*x509.Certificate{id.cert}
	keys := []crypto.PrivateKey{id.key}
	for _, name := range []string{"ML-KEM-512", "ML-KEM-768", "ML-KEM-1024"} {
		key, err := pkix.GenerateKEM(name)
		if err != nil {
			t.Fatal(err)
		}
		info, err := pkix.MarshalKeyInfo(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
		recipients = append(recipients, issueFor(t, name, info))
	}
	o, err := Encrypt(EncryptRequest{Content: [][]byte{content}, Recipients: recipients, Cipher: AES256GCM})
	if err != nil {
		t.Fatal(err)
	}
	e, err := ParseEnvelopedData(o.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	opened := 0
	for i := range e.Recipients {
		for k, key := range keys {
			if !e.Recipients[i].ID.Matches(recipients[k]) {
				continue
			}
			if got, err := e.Decrypt(i, key, DecryptOptions{}); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%s: %q, %v", e.Recipients[i].KeyManagement, got, err)
			}
			opened++
		}
	}
	if opened != 4 || e.Sound() != nil {
		t.Errorf("%d opened, %v", opened, e.Sound())
	}
}
