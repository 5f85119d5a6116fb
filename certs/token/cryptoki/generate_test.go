//go:build cgo

package cryptoki

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/miekg/pkcs11"

	"github.com/smimerelay/smimerelay/certs/token"
	"github.com/smimerelay/smimerelay/certs/token/contract"
	"github.com/smimerelay/smimerelay/internal/testing/softhsmtest"
)

// TestGenerate: keys of each kind are made in the token, where they stay, and sign; an identifier
// gets one key, also by another process, and another one is refused under it.
func TestGenerate(t *testing.T) {
	w := newWorld(t)
	for kind, id := range map[string]string{"p256": "order 1", "p384": "order 2", "rsa2048": "order 3"} {
		k := w.open(t, "")
		made, err := k.Keys.Generate(kind, []byte(id), "dave@example.org")
		must(t, err)
		digest := sha256.Sum256([]byte(kind))
		if _, err := made.Sign(nil, digest[:], crypto.SHA256); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if rsaKey, ok := made.Public().(*rsa.PublicKey); ok && rsaKey.Size() != 256 {
			t.Errorf("%s: %d octets", kind, rsaKey.Size())
		}
		k.close(t)
		k = w.open(t, "")
		again, err := k.Keys.Generate(kind, []byte(id), "dave@example.org")
		must(t, err)
		if !made.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(again.Public()) {
			t.Errorf("%s: a second key for one identifier", kind)
		}
		_, err = k.Keys.Generate("rsa3072", []byte(id), "dave@example.org")
		if !token.Refused(err) {
			t.Errorf("%s: a key of another kind under its identifier: %v", kind, err)
		}
		k.close(t)
	}
	w.token.Do(t, func(s *softhsmtest.Session) {
		keys := s.Find(pkcs11.CKO_PRIVATE_KEY)
		if len(keys) != 6 || len(s.Find(pkcs11.CKO_PUBLIC_KEY)) != 6 {
			t.Errorf("%d private keys", len(keys))
		}
		for _, key := range keys {
			for _, promise := range []uint{pkcs11.CKA_ALWAYS_SENSITIVE, pkcs11.CKA_NEVER_EXTRACTABLE} {
				if v := s.Value(key, promise); !bytes.Equal(v, []byte{1}) {
					t.Errorf("attribute %#x: %v", promise, v)
				}
			}
		}
	})
}

// TestGenerateAfterHalf: a public key that is left of a pair does not become that of the next key.
func TestGenerateAfterHalf(t *testing.T) {
	w := newWorld(t)
	k := w.open(t, "")
	_, err := k.Keys.Generate("p256", []byte("order"), "dave@example.org")
	must(t, err)
	k.close(t)
	w.token.Do(t, func(s *softhsmtest.Session) {
		for _, key := range s.Find(pkcs11.CKO_PRIVATE_KEY) {
			if string(s.Value(key, pkcs11.CKA_ID)) == "order" {
				must(t, s.DestroyObject(s.SessionHandle, key))
			}
		}
	})
	k = w.open(t, "")
	made, err := k.Keys.Generate("p256", []byte("order"), "dave@example.org")
	must(t, err)
	digest := sha256.Sum256(nil)
	if _, err := made.Sign(nil, digest[:], crypto.SHA256); err != nil { // which is verified
		t.Error(err)
	}
}

// TestGenerateRefused: what the token or its URI does not allow is a refusal.
func TestGenerateRefused(t *testing.T) {
	w := newWorld(t)
	one := w.open(t, ";object=a")
	if _, err := one.Keys.Generate("p256", []byte("x"), "x"); !token.Refused(err) {
		t.Errorf("by a URI that names one key: %v", err)
	}
	one.close(t)
	all := w.open(t, "")
	if _, err := all.Keys.Generate("ml-dsa-44", []byte("x"), "x"); !token.Refused(err) {
		t.Errorf("a kind that there is not: %v", err)
	}
	if _, err := all.Token.Generate(contract.P256, nil, nil); contract.KindOf(err) != contract.Unsupported {
		t.Errorf("without an identifier: %v", err)
	}
	if err := errors.Join(all.Keys.Err()); err != nil {
		t.Error(err)
	}
}
