package ca

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// Profile is a generation of the Baseline Requirements for mailbox-validated
// certificates (BR 7.1.6.1).
type Profile string

// The profiles. What is issued under them differs by the policy identifier only:
// the key has no use beside mail under either.
const (
	Multipurpose Profile = "multipurpose"
	Strict       Profile = "strict"
)

// maxValidity is the longest validity of a subscriber's certificate under both
// profiles (BR 6.3.2).
const maxValidity = 825 * 24 * time.Hour

// policy returns the identifier of the profile, 2.23.140.1.5.1.x.
func (p Profile) policy() (x509.OID, error) {
	generation := map[Profile]uint64{Multipurpose: 2, Strict: 3}[p]
	if generation == 0 {
		return x509.OID{}, fmt.Errorf("profile %q is not known; use %q or %q", p, Multipurpose, Strict)
	}
	return x509.OIDFromInts([]uint64{2, 23, 140, 1, 5, 1, generation})
}

// Use is what an issued key is for.
type Use int

// The uses.
const (
	SignAndEncrypt Use = iota
	OnlySign
	OnlyEncrypt
)

// KeyUsage returns the bits for a key (BR 7.1.2.3 e).
func (u Use) KeyUsage(pub crypto.PublicKey) x509.KeyUsage {
	management := x509.KeyUsageKeyAgreement
	switch pub.(type) {
	case *rsa.PublicKey, *pkix.KEMKey: // RFC 9935 section 5
		management = x509.KeyUsageKeyEncipherment
	}
	switch u {
	case OnlySign:
		return x509.KeyUsageDigitalSignature
	case OnlyEncrypt:
		return management
	}
	return x509.KeyUsageDigitalSignature | management
}
