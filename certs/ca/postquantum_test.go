package ca_test

import (
	"crypto"
	"slices"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/ca"
)

// TestPostQuantum: with ML-DSA there are two certificates for an address, and both are
// valid below authorities that sign with ML-DSA.
func TestPostQuantum(t *testing.T) {
	w := newWorld(t, "ml-dsa-87", ca.Multipurpose)
	validator := w.validator(t, crl(t, w.root), crl(t, w.issuing))
	for kind, kem := range map[string]string{"ml-dsa-44": "ML-KEM-512", "ml-dsa-65": "ML-KEM-768", "ml-dsa-87": "ML-KEM-1024"} {
		ids := w.issue(t, ca.Request{Address: parse(t, "alice@example.com"), Key: kind})
		if len(ids) != 2 || !certs.Signs(ids[0].Certificate) || certs.Decrypts(ids[0].Certificate) || !certs.Decrypts(ids[1].Certificate) {
			t.Fatalf("%s: %d identities", kind, len(ids))
		}
		if k, ok := ids[1].Certificate.PublicKey.(interface{ Name() string }); !ok || k.Name() != kem {
			t.Errorf("%s: key %T", kind, ids[1].Certificate.PublicKey)
		}
		if _, ok := ids[1].Key.(crypto.Decapsulator); !ok {
			t.Errorf("%s: key %T", kind, ids[1].Key)
		}
		for i, purpose := range []certs.Purpose{certs.ForSigning, certs.ForEncryption} {
			if v := check(t, validator, ids[i], purpose); v.Result != certs.Pass {
				t.Errorf("%s: %s: %s %s", kind, purpose, v.Reason, v.Detail)
			}
		}
	}
}

// otherKinds are the kinds of keys that programs of today know.
func otherKinds() []string {
	return slices.DeleteFunc(slices.Clone(ca.Kinds), ca.TwoKeys)
}
