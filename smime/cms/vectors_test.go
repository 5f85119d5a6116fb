package cms

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/internal/testing/corpora"
)

// The example of RFC 9936 appendix C, step by step, with the private key in each of
// its three forms.
func TestKEMRecipientVectors(t *testing.T) {
	dir := filepath.Join(corpora.Dir(t), "lamps-cms-kyber")
	value := func(name string) []byte {
		b, err := hex.DecodeString(strings.Join(strings.Fields(string(mustRead(t, filepath.Join(dir, name)))), ""))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	e, err := ParseEnvelopedData(decodeObject(mustRead(t, filepath.Join(dir, "ML-KEM-512.cms"))))
	if err != nil || len(e.Recipients) != 1 {
		t.Fatal(err)
	}
	r := &e.Recipients[0]
	if r.KeyManagement != "ml-kem-512" || r.Unsupported != "" || len(r.ID.SubjectKeyID) == 0 {
		t.Errorf("recipient %+v", r)
	}
	if !bytes.Equal(r.ciphertext, value("ciphertext.txt")) || !bytes.Equal(r.encrypted, value("encrypted_cek.txt")) {
		t.Error("the parts differ")
	}
	info := kemInfo(r.rawWrap, r.ukm, r.kekSize)
	if !bytes.Equal(info, value("ori_info.txt")) {
		t.Errorf("info %x", info)
	}
	for _, form := range []string{"seed", "expanded", "both"} {
		key := readKey(t, filepath.Join(dir, "ML-KEM-512-"+form+".priv"))
		secret, err := key.(crypto.Decapsulator).Decapsulate(r.ciphertext)
		if err != nil || !bytes.Equal(secret, value("shared_secret.txt")) {
			t.Errorf("%s: shared secret %x, %v", form, secret, err)
		}
		kek, err := kdf{hkdfOf(r.kdf), true}.derive(secret, nil, info, r.kekSize)
		if err != nil || !bytes.Equal(kek, value("kek.txt")) {
			t.Errorf("%s: key encryption key %x, %v", form, kek, err)
		}
		if got := r.unwrapped(kek); !bytes.Equal(got, value("cek.txt")) {
			t.Errorf("%s: content key %x", form, got)
		}
		plain, err := e.Decrypt(0, key, DecryptOptions{})
		if err != nil || !bytes.Equal(plain, mustRead(t, filepath.Join(dir, "plaintext.txt"))) {
			t.Errorf("%s: plaintext %q, %v", form, plain, err)
		}
	}
}

// The examples of RFC 9882 appendix B. Their certificates are in RFC 9881, with keys
// that are made of a known seed, and not in the objects.
func TestMLDSAVectors(t *testing.T) {
	seed := make([]byte, 32)
	for i := range seed {
		seed[i] = byte(i)
	}
	for oid, file := range map[string]string{oidMLDSA44: "mldsa44", oidMLDSA65: "mldsa65", oidMLDSA87: "mldsa87"} {
		var info builder
		m := info.open(tagSequence)
		info.int(0)
		info.algorithm(oid, nil)
		inner := info.open(tagOctetString)
		info.tlv(tagContext, seed)
		info.close(inner)
		info.close(m)
		key, err := pkix.ParsePrivateKey(info)
		if err != nil {
			t.Fatal(err)
		}
		s, err := ParseSignedData(decodeObject(mustRead(t, filepath.Join(corpora.Dir(t), "lamps-cms-ml-dsa", file+"-signed-attrs.pem"))))
		if err != nil {
			t.Fatal(err)
		}
		cert := issueNamed(t, s.signers[0].id, key.(crypto.Signer))
		if r := s.Verify(VerifyOptions{Certificates: []*x509.Certificate{cert}})[0]; r.Err != nil || r.Digest != crypto.SHA512 {
			t.Errorf("%s: %v, digest %s", file, r.Err, r.Digest)
		}
	}
}

// issueNamed makes a self-signed certificate with the name and the serial number that
// an ID has.
func issueNamed(t *testing.T, id ID, key crypto.Signer) *x509.Certificate {
	t.Helper()
	tmpl := &x509.Certificate{RawSubject: id.RawIssuer, SerialNumber: new(big.Int).SetBytes(id.Serial), NotAfter: time.Now().Add(time.Hour)}
	der, err := pkix.CreateCertificate(tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := pkix.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// X9.63 with SHA-256, from NIST's CAVP vectors for ANS X9.63-2001.
func TestX963Vector(t *testing.T) {
	got, err := kdf{crypto.SHA256, false}.derive(
		unhex(t, "96c05619d56c328ab95fe84b18264b08725b85e33fd34f08"), nil, nil, 16)
	if err != nil || !bytes.Equal(got, unhex(t, "443024c3dae66b95e6f5670601558f71")) {
		t.Errorf("%x, %v", got, err)
	}
}

// The samples of RFC 9216: certificates of which x509 can not read the keys, and
// Ed25519 and X25519 to work with.
func TestSampleCertificates(t *testing.T) {
	dir := filepath.Join(corpora.Dir(t), "rfc9216")
	files, err := filepath.Glob(filepath.Join(dir, "*.pem"))
	if err != nil || len(files) < 10 {
		t.Fatalf("%d samples, %v", len(files), err)
	}
	kinds := make(map[string]int)
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, cert := range pemCertificates(t, data) {
			key, err := PublicKey(cert)
			if err != nil || checkKey(key, pkix.MinRSA) != nil {
				t.Errorf("%s: %v", filepath.Base(name), err)
			}
			kinds[strings.TrimPrefix(typeName(key), "*")]++
		}
	}
	for _, kind := range []string{"rsa.PublicKey", "ed25519.PublicKey", "ecdh.PublicKey"} {
		if kinds[kind] == 0 {
			t.Errorf("no %s among %v", kind, kinds)
		}
	}
}
