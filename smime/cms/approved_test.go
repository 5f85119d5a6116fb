package cms

import (
	"crypto"
	"crypto/fips140"
	"crypto/x509"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// permitted are those of the ciphers that may be used in the mode of this process.
func permitted(list ...Cipher) []Cipher {
	return slices.DeleteFunc(list, func(c Cipher) bool { return c.spec().approved() != nil })
}

// TestFIPS runs the tests whose names begin with TestEnforced in a process that
// enforces FIPS 140-3.
func TestFIPS(t *testing.T) {
	if fips140.Enforced() {
		t.Log("this process enforces it already")
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestEnforced", "-test.v")
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=only")
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), "--- PASS") != 4 {
		t.Errorf("%v\n%s", err, out)
	}
}

// What is approved works: both directions, AES in both modes, with each kind of key.
func TestEnforcedApproved(t *testing.T) {
	for _, name := range []string{"rsa2048", "p256", "p384", "p521"} {
		id := newIdentity(t, name)
		for _, c := range permitted(AES128CBC, AES256CBC, AES128GCM, AES256GCM, ChaCha20Poly1305) {
			testRoundTrip(t, c, id.key, id.cert)
		}
		o, err := Sign(SignRequest{Content: [][]byte{content}, Signers: []Signer{{Certificate: id.cert, Key: id.key, PSS: true}}})
		if err != nil && name == "rsa2048" {
			t.Fatal(err)
		}
		if err != nil {
			continue // PSS is for RSA
		}
		s, err := ParseSignedData(o.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if r := s.Verify(VerifyOptions{})[0]; r.Err != nil {
			t.Errorf("%s: %v", name, r.Err)
		}
	}
}

// What is not approved is refused as that, and ends nothing.
func TestEnforcedRefusals(t *testing.T) {
	if !fips140.Enforced() {
		t.Log("not enforced; see TestFIPS")
		return
	}
	id := newIdentity(t, "rsa2048")
	to := func(r EncryptRequest) error {
		if r.Recipients == nil {
			r.Recipients = []*x509.Certificate{id.cert}
		}
		_, err := Encrypt(r)
		return err
	}
	kem, err := pkix.GenerateKEM("ML-KEM-512")
	if err != nil {
		t.Fatal(err)
	}
	info, err := pkix.MarshalKeyInfo(kem.Public())
	if err != nil {
		t.Fatal(err)
	}
	mldsa, cert := newPostQuantum(t, pkix.MLDSA65Scheme)
	_, signed := Sign(SignRequest{Content: [][]byte{content}, Signers: []Signer{{Certificate: cert, Key: mldsa}}})
	_, digest := Digest(strings.NewReader(""), crypto.SHA1)
	for name, err := range map[string]error{
		"PKCS #1 v1.5":      to(EncryptRequest{KeyTransport: PKCS1}),
		"OAEP with SHA-1":   to(EncryptRequest{KeyTransport: OAEP, OAEPHash: crypto.SHA1}),
		"ChaCha20-Poly1305": to(EncryptRequest{Cipher: ChaCha20Poly1305}),
		"a derived key":     to(EncryptRequest{Cipher: AES256GCM, DeriveKey: true}),
		"ML-KEM-512":        to(EncryptRequest{Recipients: []*x509.Certificate{issueFor(t, "kem", info)}}),
		"ML-DSA":            signed,
		"SHA-1":             digest,
	} {
		if !errors.Is(err, ErrNotApproved) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What others wrote with algorithms that are not approved is refused by name, before a
// key is used.
func TestEnforcedReading(t *testing.T) {
	if !fips140.Enforced() {
		t.Log("not enforced; see TestFIPS")
		return
	}
	id := newIdentity(t, "rsa2048")
	for name, change := range map[string]func(e *EnvelopedData){
		"cipher": func(e *EnvelopedData) { e.alg.oid = []byte(oidDES3CBC) },
		"pkcs1":  func(e *EnvelopedData) { e.Recipients[0].alg = algorithm{oid: []byte(oidRSA)} },
		"oaep":   func(e *EnvelopedData) { e.Recipients[0].alg.params = oaepParams(crypto.SHA1) },
	} {
		o, err := Encrypt(EncryptRequest{Content: [][]byte{content}, Recipients: []*x509.Certificate{id.cert}})
		if err != nil {
			t.Fatal(err)
		}
		e, err := ParseEnvelopedData(o.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		change(e)
		if _, err := e.Decrypt(0, id.key, DecryptOptions{AllowWeak: true}); !errors.Is(err, ErrNotApproved) {
			t.Errorf("%s: %v", name, err)
		}
	}
	o, err := Sign(SignRequest{Content: [][]byte{content}, Signers: []Signer{{Certificate: id.cert, Key: id.key}}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := ParseSignedData(o.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	s.signers[0].digest = algorithm{oid: []byte(oidSHA1)}
	if r := s.Verify(VerifyOptions{AllowWeak: true})[0]; !errors.Is(r.Err, ErrNotApproved) || len(s.Digests()) != 0 {
		t.Errorf("SHA-1: %v, digests %v", r.Err, s.Digests())
	}
}
