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

// Kinds are the kinds of keys that can be issued for. P-256 is what every client
// of the last ten years reads; RSA is for those that are older.
var Kinds = []string{"p256", "p384", "rsa2048", "rsa3072", "rsa4096"}

// GenerateKey makes a key of one of Kinds; "" is p256.
func GenerateKey(kind string) (crypto.Signer, error) {
	switch kind {
	case "", "p256":
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
	return fmt.Errorf("key %q is not known; use one of %s", kind, strings.Join(Kinds, ", "))
}

// AuthorityKind is the kind of key that authorities get where nobody says
// otherwise: everybody reads what RSA signed, while GnuPG 2.2 reads no revocation
// list that ECDSA did.
const AuthorityKind = "rsa4096"
