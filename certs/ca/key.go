package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"strings"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// autoKey leaves the kind of key to what it is for: everybody can encrypt to RSA,
// while GnuPG 2.2 and NSS cannot encrypt to a certificate whose key only agrees on
// keys (RFC 5753). A key that only signs is P-256.
const autoKey = "auto"

// keyKinds are the kinds of keys that can be issued for.
var keyKinds = []string{"p256", "p384", "rsa2048", "rsa3072", "rsa4096", mldsa44, mldsa65, mldsa87}

// The kinds of post-quantum keys. One that signs comes with another to encrypt to, of
// the same category of strength (FIPS 203 section 8, FIPS 204 section 4).
const (
	mldsa44 = string(pkix.MLDSA44Scheme)
	mldsa65 = string(pkix.MLDSA65Scheme)
	mldsa87 = string(pkix.MLDSA87Scheme)
)

var kemBeside = map[string]string{mldsa44: "ML-KEM-512", mldsa65: "ML-KEM-768", mldsa87: "ML-KEM-1024"}

// TwoKeys reports whether a kind of key cannot both sign and be encrypted to, so that
// there are always two.
func TwoKeys(kind string) bool { return kemBeside[kind] != "" }

// PrivateKey is a key that can be certified.
type PrivateKey interface{ Public() crypto.PublicKey }

// Kind is that of the key for a use.
func (r Request) Kind(use Use) string {
	switch {
	case use == OnlyEncrypt && TwoKeys(r.Key):
		return kemBeside[r.Key]
	case r.Key != "" && r.Key != autoKey:
		return r.Key
	case use == OnlySign:
		return "p256"
	}
	return "rsa3072"
}

// GenerateKey makes a key of one of keyKinds, or one to encrypt to that goes with one.
func GenerateKey(kind string) (PrivateKey, error) {
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
	case mldsa44, mldsa65, mldsa87:
		return pkix.GenerateMLDSA(pkix.Scheme(kind))
	case kemBeside[mldsa44], kemBeside[mldsa65], kemBeside[mldsa87]:
		return pkix.GenerateKEM(kind)
	}
	return nil, errKind(kind)
}

// authorityKey makes a key for an authority.
func authorityKey(kind string) (crypto.Signer, error) {
	key, err := GenerateKey(kind)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errKind(kind)
	}
	return signer, nil
}

func errKind(kind string) error {
	return fmt.Errorf("key %q is not known; use %s or one of %s", kind, autoKey, strings.Join(keyKinds, ", "))
}

// authorityKind is the kind of key that authorities get by default, without
// otherwise: everybody reads what RSA signed, while GnuPG 2.2 reads no revocation
// list that ECDSA did.
const authorityKind = "rsa4096"
