//go:build cgo

package hsm

import (
	"errors"
	"testing"

	"github.com/miekg/pkcs11"

	"github.com/smimerelay/smimerelay/internal/testing/softhsmtest"
)

// What the tests show is worth nothing if the keys could be had.
func TestKeysStayInTheToken(t *testing.T) {
	w := newWorld(t)
	w.token.Do(t, func(s *softhsmtest.Session) {
		keys := s.Find(pkcs11.CKO_PRIVATE_KEY)
		if len(keys) != 2 {
			t.Fatalf("%d private keys", len(keys))
		}
		for _, key := range keys {
			secrets := 0
			for _, secret := range []uint{pkcs11.CKA_PRIVATE_EXPONENT, pkcs11.CKA_PRIME_1, pkcs11.CKA_VALUE} {
				_, err := s.GetAttributeValue(s.SessionHandle, key, []*pkcs11.Attribute{pkcs11.NewAttribute(secret, nil)})
				if errors.Is(err, pkcs11.Error(pkcs11.CKR_ATTRIBUTE_SENSITIVE)) {
					secrets++
				} else if !errors.Is(err, pkcs11.Error(pkcs11.CKR_ATTRIBUTE_TYPE_INVALID)) {
					t.Errorf("attribute %#x: %v", secret, err)
				}
			}
			if secrets == 0 {
				t.Error("a key without secrets")
			}
			for _, promise := range []uint{pkcs11.CKA_ALWAYS_SENSITIVE, pkcs11.CKA_NEVER_EXTRACTABLE} {
				if v := s.Value(key, promise); len(v) != 1 || v[0] != 1 {
					t.Errorf("attribute %#x: %v", promise, v)
				}
			}
		}
	})
}
