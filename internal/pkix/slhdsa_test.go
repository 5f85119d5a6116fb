package pkix

import (
	"bytes"
	"crypto"
	"encoding/asn1"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cloudflare/circl/sign/slhdsa"

	"github.com/smimerelay/smimerelay/internal/testing/corpora"
)

// TestSLHDSAVectors: signatures that NIST's own implementation made (ACVP, SLH-DSA-sigVer
// of FIPS 205, external interface, pure, empty context), as public key, signature and
// message, behind each other.
func TestSLHDSAVectors(t *testing.T) {
	for file, scheme := range map[string]Scheme{
		"acvp-slh-dsa-shake-128f-98.bin": "slh-dsa-shake-128f",
		"acvp-slh-dsa-sha2-192s-293.bin": "slh-dsa-sha2-192s",
	} {
		data, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		set := slhdsaByScheme(scheme)
		keySize, sigSize := set.params.Scheme().PublicKeySize(), set.params.Scheme().SignatureSize()
		key, sig, msg := set.key(data[:keySize]), data[keySize:keySize+sigSize], data[keySize+sigSize:]
		a, _, ok := ReadAlgorithm(slhdsaIdentifier(t, set.id))
		if !ok || a.Scheme() != scheme || !a.Verify(key, msg, sig) {
			t.Errorf("%s does not verify", file)
		}
		for _, at := range []int{0, len(sig) / 2, len(sig) - 1} {
			bent := bytes.Clone(sig)
			bent[at] ^= 1
			if a.Verify(key, msg, bent) {
				t.Errorf("%s: verifies with octet %d changed", file, at)
			}
		}
		if a.Verify(key, append(bytes.Clone(msg), 0), sig) || a.Verify(key, msg, sig[1:]) || a.Verify(key, msg, nil) {
			t.Errorf("%s: another message or a short signature verifies", file)
		}
		for i := range slhdsaSets {
			if other := (Algorithm{scheme: slhdsaSets[i].scheme}); other != a && other.Verify(key, msg, sig) {
				t.Errorf("%s: verifies as %s", file, other.Scheme())
			}
		}
	}
}

func slhdsaIdentifier(t *testing.T, id asn1.ObjectIdentifier, params ...byte) []byte {
	t.Helper()
	der, err := asn1.Marshal(id)
	if err != nil {
		t.Fatal(err)
	}
	der = append(der, params...)
	return append([]byte{0x30, byte(len(der))}, der...)
}

// TestSLHDSASets: names, identifiers and keys belong together, parameters are refused, and
// so are keys of another size.
func TestSLHDSASets(t *testing.T) {
	for i := range slhdsaSets {
		set := &slhdsaSets[i]
		if set.name != set.params.String() || string(set.scheme) != strings.ToLower(set.name) || set.id[8] != 20+i {
			t.Errorf("%+v", set)
		}
		if _, _, ok := ReadAlgorithm(slhdsaIdentifier(t, set.id, 5, 0)); ok {
			t.Errorf("%s: parameters are let pass", set.name) // RFC 9909 section 3
		}
		size := set.params.Scheme().PublicKeySize()
		key, ok := set.key(make([]byte, size)).(*SLHDSAKey)
		if !ok || set.key(make([]byte, size-1)) != nil || set.key(make([]byte, size+1)) != nil {
			t.Errorf("%s: a key of another size", set.name)
			continue
		}
		if CheckKey(key, MinRSA) != nil || KeyKind(key) != "slh-dsa" || !SignsWhole(key) || Effort(key) < 40 || !key.Equal(key) {
			t.Errorf("%s: %v", set.name, key)
		}
		a := Algorithm{scheme: set.scheme}
		for h, bits := range map[crypto.Hash]int{crypto.SHA1: 160, crypto.SHA256: 256, crypto.SHA384: 384, crypto.SHA512: 512} {
			if want := bits >= 8*size; !a.Whole() || a.AllowsDigest(h) != want { // RFC 9814 section 4
				t.Errorf("%s with %v: %v", set.name, h, !want)
			}
		}
	}
}

// TestSLHDSAOfOpenSSL reads the certificates that OpenSSL made, and holds their keys
// against the private ones.
func TestSLHDSAOfOpenSSL(t *testing.T) {
	dir := corpora.Dir(t)
	for file, name := range map[string]string{
		"sm_slhdsa_sha2_128s.pem": "SLH-DSA-SHA2-128s", "sm_slhdsa_shake_128s.pem": "SLH-DSA-SHAKE-128s", "sm_slhdsa_shake_256s.pem": "SLH-DSA-SHAKE-256s",
	} {
		data, err := os.ReadFile(filepath.Join(dir, "openssl", "smime-certs", file))
		if err != nil {
			t.Fatal(err)
		}
		var private []byte
		for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
			if block.Type != "CERTIFICATE" {
				private = block.Bytes
				continue
			}
			cert, err := ParseCertificate(block.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			key, ok := PublicKey(cert).(*SLHDSAKey)
			if !ok || KeyName(cert) != name {
				t.Fatalf("%s: the key is %s", file, KeyName(cert))
			}
			// The key is the last half of the private one, which is the end of the file.
			if !bytes.HasSuffix(private, key.encoded()) {
				t.Errorf("%s: the key is not the public half of the private one", file)
			}
			k := slhdsa.PrivateKey{ID: key.set.params}
			if err := k.UnmarshalBinary(private[len(private)-2*len(key.encoded()):]); err != nil {
				t.Fatal(err)
			}
			sig, err := slhdsa.SignDeterministic(&k, slhdsa.NewMessage([]byte("message")), nil)
			if err != nil || !key.verify([]byte("message"), sig) {
				t.Errorf("%s: what its private key signs does not verify: %v", file, err)
			}
		}
	}
}
