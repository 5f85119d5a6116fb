package cms

import (
	"crypto"
	"crypto/rand"
	"encoding/asn1"
	"errors"
	"testing"

	"github.com/cloudflare/circl/sign/slhdsa"
)

// TestVerifySLHDSA: messages that the library behind it signs (RFC 9814), since no other
// program at hand does: with signed attributes and without, and with a digest that is too
// short for the set.
func TestVerifySLHDSA(t *testing.T) {
	for id, set := range map[slhdsa.ID]struct {
		arc    byte
		scheme SignatureScheme
		digest crypto.Hash
		oid    string
		err    error
	}{
		slhdsa.SHA2_128f:  {21, "slh-dsa-sha2-128f", crypto.SHA256, oidSHA256, nil},
		slhdsa.SHAKE_128f: {27, "slh-dsa-shake-128f", crypto.SHA512, oidSHA512, nil},
		slhdsa.SHA2_192f:  {23, "slh-dsa-sha2-192f", crypto.SHA256, oidSHA256, ErrMalformed},
	} {
		pub, key, err := slhdsa.GenerateKey(rand.Reader, id)
		if err != nil {
			t.Fatal(err)
		}
		bits, err := pub.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		oid := "\x60\x86\x48\x01\x65\x03\x04\x03" + string([]byte{set.arc})
		algorithm := built(func(b *builder) { b.algorithm(oid, nil) })
		info := built(func(b *builder) {
			m := b.open(tagSequence)
			b.raw(algorithm)
			b.raw(bitString(t, bits))
			b.close(m)
		})
		who := &identity{cert: issueFor(t, string(set.scheme), info)}
		attrs := [][]byte{typeAttribute(oidData), digestAttribute(sum(set.digest, content))}
		for _, bare := range []bool{false, true} {
			f := forgedInfo{id: who, attrs: attrs, digest: set.oid, signature: algorithm}
			signed := content
			if bare {
				f.attrs = nil
			} else {
				signed = f.set()
			}
			if f.value, err = slhdsa.SignDeterministic(&key, slhdsa.NewMessage(signed), nil); err != nil {
				t.Fatal(err)
			}
			object := forgery{content: content, digests: []string{set.oid}, certs: certificates(who), infos: [][]byte{f.der(t)}}
			r := verifyOne(t, object.der(), VerifyOptions{AllowBare: true})
			if !errors.Is(r.Err, set.err) || r.Err == nil && (r.Signature != set.scheme || r.Bare != bare) {
				t.Errorf("%s, bare %t: %v, %s", set.scheme, bare, r.Err, r.Signature)
			}
			f.value[len(f.value)-1] ^= 1
			object.infos = [][]byte{f.der(t)}
			if r := verifyOne(t, object.der(), VerifyOptions{AllowBare: true}); set.err == nil && !errors.Is(r.Err, ErrSignature) {
				t.Errorf("%s, bare %t: changed signature: %v", set.scheme, bare, r.Err)
			}
		}
	}
}

func bitString(t *testing.T, octets []byte) []byte {
	t.Helper()
	der, err := asn1.Marshal(asn1.BitString{Bytes: octets, BitLength: 8 * len(octets)})
	if err != nil {
		t.Fatal(err)
	}
	return der
}
