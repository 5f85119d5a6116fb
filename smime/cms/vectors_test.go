package cms

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// The example of RFC 9936 appendix C, step by step. It uses ML-KEM-512, which
// we do not have: its shared secret is taken from the example, and everything
// that follows from it is ours.
func TestKEMRecipientVectors(t *testing.T) {
	dir := filepath.Join(corporaDir(t), "lamps-cms-kyber")
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
	if r.KeyManagement != "ml-kem-512" || r.Unsupported == "" || len(r.ID.SubjectKeyID) == 0 {
		t.Errorf("recipient %+v", r)
	}
	if !bytes.Equal(r.ciphertext, value("ciphertext.txt")) || !bytes.Equal(r.encrypted, value("encrypted_cek.txt")) {
		t.Error("the parts differ")
	}
	info := kemInfo(r.rawWrap, r.ukm, r.kekSize)
	if !bytes.Equal(info, value("ori_info.txt")) {
		t.Errorf("info %x", info)
	}
	kek, err := kdf{hkdfOf(r.kdf), true}.derive(value("shared_secret.txt"), nil, info, r.kekSize)
	if err != nil || !bytes.Equal(kek, value("kek.txt")) {
		t.Errorf("key encryption key %x, %v", kek, err)
	}
	key := r.unwrapped(kek)
	if !bytes.Equal(key, value("cek.txt")) {
		t.Errorf("content key %x", key)
	}
	open, err := e.opener(DecryptOptions{})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := open.open(key)
	if err != nil || !bytes.Equal(plain, mustRead(t, filepath.Join(dir, "plaintext.txt"))) {
		t.Errorf("plaintext %q, %v", plain, err)
	}
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
	dir := filepath.Join(corporaDir(t), "rfc9216")
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
