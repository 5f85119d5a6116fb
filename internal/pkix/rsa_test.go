package pkix

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// rsaSigner is an RSA key that openssl made in a folder, to sign with.
type rsaSigner struct {
	dir string
	key *rsa.PublicKey
}

func newRSASigner(t *testing.T, options ...string) rsaSigner {
	t.Helper()
	dir := t.TempDir()
	args := []string{"genpkey", "-algorithm", "RSA", "-out", "key.pem"}
	for _, o := range options {
		args = append(args, "-pkeyopt", o)
	}
	openssl(t, dir, args...)
	openssl(t, dir, "pkey", "-in", "key.pem", "-pubout", "-out", "public.pem")
	data, err := os.ReadFile(filepath.Join(dir, "public.pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return rsaSigner{dir, key.(*rsa.PublicKey)}
}

func (s rsaSigner) sign(t *testing.T, hash crypto.Hash, data []byte, options ...string) []byte {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, "data"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"dgst", "-" + opensslName(hash), "-sign", "key.pem", "-out", "sig"}
	for _, o := range options {
		args = append(args, "-sigopt", o)
	}
	openssl(t, s.dir, append(args, "data")...)
	sig, err := os.ReadFile(filepath.Join(s.dir, "sig"))
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

func opensslName(h crypto.Hash) string {
	return strings.ToLower(strings.ReplaceAll(h.String(), "-", ""))
}

func digestOf(h crypto.Hash, data []byte) []byte {
	d := h.New()
	d.Write(data)
	return d.Sum(nil)
}

func TestPSSWithAnyMaskAndSalt(t *testing.T) {
	data := []byte("what is signed")
	for _, options := range [][]string{
		{"rsa_keygen_bits:2048"},
		{"rsa_keygen_bits:2049"}, // the encoded message is an octet shorter
		{"rsa_keygen_bits:2048", "rsa_keygen_pubexp:3514532609"},
	} {
		signer := newRSASigner(t, options...)
		for _, p := range []PSS{
			{crypto.SHA256, crypto.SHA1, 20},
			{crypto.SHA256, crypto.SHA1, 32},
			{crypto.SHA512, crypto.SHA256, 64},
			{crypto.SHA1, crypto.SHA384, 0},
			{crypto.SHA256, crypto.SHA256, 32},
			{crypto.SHA256, crypto.SHA256, 0},
			{crypto.SHA384, crypto.SHA224, 200},
		} {
			sig := signer.sign(t, p.Hash, data, "rsa_padding_mode:pss", "rsa_mgf1_md:"+opensslName(p.Mask), fmt.Sprint("rsa_pss_saltlen:", p.Salt))
			digest := digestOf(p.Hash, data)
			if !p.Verify(signer.key, digest, sig) {
				t.Errorf("%q %v: does not verify", options, p)
			}
			refusesOthers(t, p, signer.key, digest, sig)
		}
	}
}

// refusesOthers tries everything about a good signature that may not be changed.
func refusesOthers(t *testing.T, p PSS, key *rsa.PublicKey, digest, sig []byte) {
	t.Helper()
	otherMask, shorter, longer := p, p, p
	otherMask.Mask = crypto.SHA512
	shorter.Salt, longer.Salt = max(p.Salt-1, 0), p.Salt+1
	for _, o := range []PSS{otherMask, shorter, longer} {
		if o != p && o.Verify(key, digest, sig) {
			t.Errorf("%v verifies as %v", p, o)
		}
	}
	changed := bytes.Clone(digest)
	changed[0] ^= 1
	larger := new(big.Int).Add(new(big.Int).SetBytes(sig), key.N)
	for name, bad := range map[string][2][]byte{
		"another digest":     {changed, sig},
		"a shorter digest":   {digest[1:], sig},
		"nothing":            {digest, nil},
		"a longer signature": {digest, append([]byte{0}, sig...)},
		"more than modulus":  {digest, larger.Bytes()},
		"zero":               {digest, make([]byte, len(sig))},
	} {
		if p.Verify(key, bad[0], bad[1]) {
			t.Errorf("%v: %s verifies", p, name)
		}
	}
	for i := range sig {
		bad := bytes.Clone(sig)
		bad[i] ^= 0x10
		if p.Verify(key, digest, bad) {
			t.Fatalf("%v: verifies with octet %d changed", p, i)
		}
	}
}

// What EMSA-PSS-VERIFY looks at besides the hash (RFC 8017 section 9.1.2).
func TestPSSEncodingIsChecked(t *testing.T) {
	p := PSS{crypto.SHA256, crypto.SHA1, 20}
	digest := digestOf(p.Hash, []byte("x"))
	const bits, size = 2047, 256
	encode := func(change func(db []byte)) []byte {
		db := make([]byte, size-32-1)
		db[len(db)-21] = 1
		change(db)
		h := digestOf(p.Hash, append(append(make([]byte, 8), digest...), db[len(db)-20:]...))
		p.unmask(db, h)
		return append(append(db, h...), 0xbc)
	}
	good := encode(func([]byte) {})
	if good[0] &= 0x7f; !p.encodes(bytes.Clone(good), bits, digest) {
		t.Fatal("a good one is refused")
	}
	for name, em := range map[string][]byte{
		"trailer":           append(bytes.Clone(good[:size-1]), 0xcc),
		"bits over emBits":  append([]byte{good[0] | 0x80}, good[1:]...),
		"padding not zero":  encode(func(db []byte) { db[7] = 1 }),
		"no 1 before salt":  encode(func(db []byte) { db[len(db)-21] = 3 }),
		"too short for all": good[size-40:],
	} {
		if name != "bits over emBits" {
			em[0] &= 0x7f
		}
		if p.encodes(em, bits, digest) {
			t.Errorf("%s: verifies", name)
		}
	}
}

func TestLargeExponent(t *testing.T) {
	data := []byte("what is signed")
	signer := newRSASigner(t, "rsa_keygen_bits:2048", "rsa_keygen_pubexp:3514532609")
	for _, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA512} {
		sig := signer.sign(t, hash, data)
		digest := digestOf(hash, data)
		a := Algorithm{scheme: PKCS1Scheme, hash: hash}
		if !a.VerifyDigest(signer.key, digest, sig) {
			t.Errorf("%v: does not verify", hash)
		}
		for i := range sig {
			bad := bytes.Clone(sig)
			if bad[i] ^= 1; a.VerifyDigest(signer.key, digest, bad) {
				t.Fatalf("%v: verifies with octet %d changed", hash, i)
			}
		}
		if digest[0]++; a.VerifyDigest(signer.key, digest, sig) {
			t.Errorf("%v: verifies another digest", hash)
		}
	}
	if p := CheckKey(signer.key, MinRSA); p != nil {
		t.Errorf("not to verify with: %v", p)
	}
	if p := CheckEncryptionKey(signer.key); p == nil || p.Weak {
		t.Errorf("to encrypt to: %v", p)
	}
}

func TestKeysThatProtectNothing(t *testing.T) {
	n := new(big.Int).Lsh(big.NewInt(1), 2047)
	odd, even := new(big.Int).Add(n, big.NewInt(1)), n
	lowOrder := make([]byte, 32)
	point, err := ecdh.X25519().NewPublicKey(lowOrder)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.PublicKey{
		"even modulus": &rsa.PublicKey{N: even, E: 65537}, "exponent 1": &rsa.PublicKey{N: odd, E: 1},
		"even exponent": &rsa.PublicKey{N: odd, E: 65536}, "1024 bits": &rsa.PublicKey{N: new(big.Int).Rsh(odd, 1023), E: 65537},
		"low order": point, "PSS": PSSKey{PublicKey: &rsa.PublicKey{N: even, E: 65537}},
	} {
		if p := CheckKey(key, MinRSA); p == nil || !p.Weak {
			t.Errorf("%s: %v", name, p)
		}
		if p := CheckEncryptionKey(key); p == nil || !p.Weak {
			t.Errorf("%s, to encrypt to: %v", name, p)
		}
	}
	huge := &rsa.PublicKey{N: new(big.Int).Add(new(big.Int).Lsh(odd, MaxRSA), big.NewInt(1)), E: 65537}
	if p := CheckKey(huge, MinRSA); p == nil || p.Weak {
		t.Errorf("huge: %v", p)
	}
}
