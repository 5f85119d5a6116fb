package cms

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"errors"
	"os"
	"testing"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

const shakeContent = "Content-Type: text/plain\r\n\r\nhashed with SHAKE\r\n"

// Signatures of Bouncy Castle with SHAKE are verified (RFC 8702), and changed ones are not.
func TestVerifySHAKE(t *testing.T) {
	for file, want := range map[string]struct{ scheme, digest string }{
		"rsa-pss-shake128": {"rsa-pss", "shake128"}, "rsa-pss-shake256": {"rsa-pss", "shake256"},
		"ecdsa-shake128": {"ecdsa", "shake128"}, "ecdsa-shake256": {"ecdsa", "shake256"},
	} {
		der, err := os.ReadFile("testdata/shake/" + file + ".der")
		if err != nil {
			t.Fatal(err)
		}
		r := verifySHAKE(t, der)
		if r.Err != nil || string(r.Signature) != want.scheme || DigestName(r.Digest) != want.digest || r.Weak != "" {
			t.Errorf("%s: %v, %s with %s", file, r.Err, r.Signature, DigestName(r.Digest))
		}
		at := bytes.Index(der, []byte("hashed with SHAKE"))
		if changed := bytes.Clone(der); at < 0 || !errors.Is(verifySHAKE(t, flip(changed, at)).Err, ErrDigest) {
			t.Errorf("%s: changed content passes", file)
		}
		// The last octets of the object are those of the signature.
		if err := verifySHAKE(t, flip(bytes.Clone(der), len(der)-2)).Err; err == nil {
			t.Errorf("%s: a changed signature passes", file)
		}
		// Under the identifier of the other SHAKE it is another signature.
		last := pkix.DigestOID(r.Digest)
		other := []byte(last[:len(last)-1] + string(last[len(last)-1]^7)) // 0x0b and 0x0c
		if err := verifySHAKE(t, bytes.ReplaceAll(der, []byte(last), other)).Err; err == nil {
			t.Errorf("%s: passes with the other digest", file)
		}
		sums, err := Digest(bytes.NewReader([]byte(shakeContent)), r.Digest)
		if err != nil || len(sums[r.Digest]) != pkix.HashSize(r.Digest) {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func flip(b []byte, at int) []byte {
	b[at] ^= 1
	return b
}

// verifySHAKE parses an object and verifies its signature; what cannot be parsed is an error of
// that.
func verifySHAKE(t *testing.T, der []byte) SignerResult {
	t.Helper()
	s, err := ParseSignedData(der)
	if err != nil {
		return SignerResult{Err: err}
	}
	results := s.Verify(VerifyOptions{})
	if len(results) != 1 {
		t.Fatalf("%d signers", len(results))
	}
	return results[0]
}

// SHAKE has no signature with PKCS #1 v1.5, no place in the parameters of PSS and OAEP, and
// signs nothing here.
func TestSHAKEElsewhere(t *testing.T) {
	for _, h := range []crypto.Hash{pkix.SHAKE128, pkix.SHAKE256} {
		if _, err := signatureAlgorithm(algorithm{oid: []byte(oidRSA), params: null()}, h); !errors.Is(err, ErrUnsupported) {
			t.Errorf("rsaEncryption: %v", err)
		}
		params := builder{}
		m := params.open(tagSequence)
		params.hashAndMask(h)
		params.close(m)
		if _, ok := pkix.ReadPSS(params); ok {
			t.Error("SHAKE in the parameters of PSS")
		}
		if _, err := oaepOf(params); !errors.Is(err, ErrUnsupported) {
			t.Errorf("SHAKE in the parameters of OAEP: %v", err)
		}
		if sendable(h) {
			t.Error("SHAKE signs")
		}
	}
	// RFC 9882 section 3.3: as strong as the key.
	for scheme, want := range map[string][2]bool{oidMLDSA44: {true, true}, oidMLDSA65: {false, true}, oidMLDSA87: {false, true}} {
		for i, h := range []crypto.Hash{pkix.SHAKE128, pkix.SHAKE256} {
			if _, err := signatureAlgorithm(algorithm{oid: []byte(scheme)}, h); (err == nil) != want[i] {
				t.Errorf("ML-DSA %x with %s: %v", scheme, DigestName(h), err)
			}
		}
	}
}

// The values are those of FIPS 202's examples for an empty message.
func TestSHAKE(t *testing.T) {
	for h, want := range map[crypto.Hash]string{
		pkix.SHAKE128: "7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26",
		pkix.SHAKE256: "46b9dd2b0ba88d13233b3feb743eeb243fcd52ea62b81b82b50c27646ed5762fd75dc4ddd8c0f200cb05019d67b592f6fc821c49479ab48640292eacb3b7c4be",
	} {
		s := pkix.NewHash(h)
		for range 2 { // the state stays
			if got := hex.EncodeToString(s.Sum(nil)); got != want || s.Size() != pkix.HashSize(h) {
				t.Errorf("%s: %s", DigestName(h), got)
			}
		}
		s.Write([]byte("x"))
		s.Reset()
		if got := hex.EncodeToString(s.Sum([]byte{})); got != want {
			t.Errorf("%s after a reset: %s", DigestName(h), got)
		}
	}
}
