package smime

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// KeyKinds are kinds of keys, separated by blanks: "rsa", "ec" (P-256, P-384, P-521),
// "brainpool", "ed25519", "x25519", "slh-dsa", "ml-dsa-44" to -87, "ml-kem-512" to -1024. The zero
// value is all.
type KeyKinds string

// allow says why the key of a certificate is none of the kinds; "" if it is one.
func (k KeyKinds) allow(whose string, c *x509.Certificate) string {
	if k == "" {
		return ""
	}
	kind := pkix.KeyKind(pkix.PublicKey(c))
	if slices.Contains(strings.Fields(string(k)), kind) {
		return ""
	}
	if kind == "" {
		kind = pkix.KeyName(c)
	}
	return fmt.Sprintf("%s key is %s, and the profile wants %s", whose, kind, k)
}

// managed says why the content key got to a recipient by another kind of key; "" if
// not.
func (k KeyKinds) managed(list []cms.KeyManagement) string {
	if k == "" {
		return ""
	}
	for _, m := range list {
		if !slices.ContainsFunc(strings.Fields(string(k)), func(kind string) bool { return uses(m, kind) }) {
			return fmt.Sprintf("it is encrypted by %s, and the profile wants %s", m, k)
		}
	}
	return ""
}

// uses reports whether a key management is one of a kind of key. Which curve an
// agreement was made on is not in the message.
func uses(m cms.KeyManagement, kind string) bool {
	switch kind {
	case "rsa":
		return strings.HasPrefix(string(m), "rsa-")
	case "ec", "brainpool":
		return m == "ecdh"
	}
	return string(m) == kind
}

// PostQuantum returns the certificates that only a quantum-safe key decrypts for, or
// all where there is none.
func PostQuantum(list []*x509.Certificate) []*x509.Certificate {
	safe := slices.DeleteFunc(slices.Clone(list), func(c *x509.Certificate) bool {
		_, ok := pkix.PublicKey(c).(*pkix.KEMKey)
		return !ok
	})
	if len(safe) == 0 {
		return list
	}
	return safe
}
