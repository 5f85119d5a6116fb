package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"strings"
)

// autoKey leaves the kind of key to what it is for: everybody can encrypt to RSA,
// while GnuPG 2.2 and NSS cannot encrypt to a certificate whose key only agrees on
// keys (RFC 5753). A key that only signs is P-256.
const autoKey = "auto"

// keyKinds are the kinds of keys that can be issued for.
var keyKinds = []string{"p256", "p384", "rsa2048", "rsa3072", "rsa4096"}

// kind is that of the key for a use.
func (r Request) kind(use Use) string {
	switch {
	case r.Key != "" && r.Key != autoKey:
		return r.Key
	case use == OnlySign:
		return "p256"
	}
	return "rsa3072"
}

// generateKey makes a key of one of keyKinds.
func generateKey(kind string) (crypto.Signer, error) {
	switch kind {
	case "p256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "p384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "rsa2048":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "rsa3072":
		return rsa.GenerateKey(rand.Reader, 3072)
	case "rsa4096":
		return rsa.GenerateKey(rand.Reader, 4096)
	}
	return nil, errKind(kind)
}

func errKind(kind string) error {
	return fmt.Errorf("key %q is not known; use %s or one of %s", kind, autoKey, strings.Join(keyKinds, ", "))
}

// authorityKind is the kind of key that authorities get by default, without
// otherwise: everybody reads what RSA signed, while GnuPG 2.2 reads no revocation
// list that ECDSA did.
const authorityKind = "rsa4096"
