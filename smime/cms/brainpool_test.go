package cms

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// What is encrypted to a brainpool key openssl decrypts, and what it signs with one
// verifies.
func TestBrainpoolWithOpenSSL(t *testing.T) {
	for _, curve := range []string{"brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1"} {
		dir := t.TempDir()
		run := func(args ...string) []byte {
			t.Helper()
			cmd := exec.Command("openssl", args...)
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%s: openssl %q: %v\n%s", curve, args, err, out)
			}
			return out
		}
		run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:"+curve, "-out", "key.pem")
		run("req", "-new", "-x509", "-key", "key.pem", "-subj", "/CN=brainpool", "-out", "cert.pem")
		data, err := os.ReadFile(filepath.Join(dir, "cert.pem"))
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(data)
		cert, err := parseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		for _, cipher := range []Cipher{AES128CBC, AES256CBC} {
			o, err := Encrypt(EncryptRequest{Content: [][]byte{content}, Recipients: []*x509.Certificate{cert}, Cipher: cipher})
			if err != nil {
				t.Fatalf("%s: %v", curve, err)
			}
			if err := os.WriteFile(filepath.Join(dir, "sealed"), o.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			if out := run("cms", "-decrypt", "-inform", "DER", "-in", "sealed", "-inkey", "key.pem", "-recip", "cert.pem", "-binary"); !bytes.Equal(out, content) {
				t.Errorf("%s %s: decrypted to %q", curve, cipher, out)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "content"), content, 0o600); err != nil {
			t.Fatal(err)
		}
		run("cms", "-sign", "-binary", "-nodetach", "-md", "sha512", "-in", "content", "-signer", "cert.pem", "-inkey", "key.pem", "-outform", "DER", "-out", "signed")
		signed, err := os.ReadFile(filepath.Join(dir, "signed"))
		if err != nil {
			t.Fatal(err)
		}
		if r := verifyOne(t, signed, VerifyOptions{}); r.Err != nil || r.Signature != "ecdsa" {
			t.Errorf("%s: %v, %s", curve, r.Err, r.Signature)
		}
		at := bytes.Index(signed, content)
		signed[at] ^= 1
		if r := verifyOne(t, signed, VerifyOptions{}); r.Err == nil {
			t.Errorf("%s: verifies what was changed", curve)
		}
	}
}

// One recipient that cannot be encrypted to is named.
func TestEncryptNamesTheRecipient(t *testing.T) {
	good, bad := newIdentity(t, "p256"), newIdentity(t, "ed25519")
	_, err := Encrypt(EncryptRequest{Content: [][]byte{content}, Recipients: certificates(good, bad)})
	if one, ok := err.(*RecipientError); !ok || one.Certificate != bad.cert {
		t.Errorf("%v", err)
	}
}
