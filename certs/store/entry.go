package store

import (
	"crypto/sha256"
	"crypto/x509"
	"math/big"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// Origin is how a certificate came into the store.
type Origin string

// The origins, from the weakest to the strongest. A certificate that comes again
// keeps the stronger one.
const (
	Harvested     Origin = "harvested" // from a signature that was good
	FromDirectory Origin = "directory"
	Imported      Origin = "imported"  // by an administrator
	Issued        Origin = "issued"    // by our own authority
	Authority     Origin = "authority" // our own authority itself: never used for mail
)

var origins = []Origin{Harvested, FromDirectory, Imported, Issued, Authority}

// stronger returns the origin that stays.
func stronger(a, b Origin) Origin {
	return origins[max(slices.Index(origins, a), slices.Index(origins, b))]
}

// Mark is a trust override: what an administrator decided about a certificate.
type Mark string

// The marks: none, a trust anchor, refused with all below it.
const (
	NoMark  Mark = ""
	Allowed Mark = "allowed"
	Blocked Mark = "blocked"
)

// Entry is a certificate in the store with what is known of it.
type Entry struct {
	Certificate *x509.Certificate
	// Fingerprint is the SHA-256 of the certificate.
	Fingerprint [sha256.Size]byte
	// Addresses are those that the certificate names.
	Addresses []address.Address
	Origin    Origin
	// HasKey tells that the private key is in the store too, Pinned that this
	// identity signs for its addresses even where a newer one could.
	HasKey, Pinned bool
	// Token is the name of the token that holds the key; "" for a key that is in the store itself.
	Token string
	// FirstSeen and LastSeen tell when it was put in; LastSeen is exact to
	// the hour.
	FirstSeen, LastSeen time.Time
	// Ciphers are those that its owner claimed to read, and Preferred the
	// certificate that mail is to be encrypted to, nil for this one (RFC 8551
	// section 2.5), in a signature of the time SignedAt.
	Ciphers   []cms.Cipher
	Preferred *cms.ID
	SignedAt  time.Time
	// Result and Reason are of the last judgement that was reported to the store,
	// at JudgedAt; zero: none was.
	Result   certs.Result
	Reason   certs.Reason
	JudgedAt time.Time
	// Mark was set with Note and holds to the end of the day Until, UTC; zero is for ever.
	Mark  Mark
	Note  string
	Until time.Time
	// RevokedAt and RevocationReason (RFC 5280 section 5.3.1) are of our own
	// authority's revocation; zero: not revoked by it.
	RevokedAt        time.Time
	RevocationReason int
	// Chain holds the certificates that came with this one, where the Query
	// asked for them.
	Chain []*x509.Certificate
}

// New is a certificate to be put into the store.
type New struct {
	Certificate *x509.Certificate
	// Chain are certificates that help to build its path.
	Chain []*x509.Certificate
	// Ciphers, Preferred and SignedAt are as in Entry. They replace what is
	// known unless that was signed later: an old message that is sent again
	// does not bring a weak cipher back. No ciphers leave what is known.
	Ciphers   []cms.Cipher
	Preferred *cms.ID
	SignedAt  time.Time
	// Verdict is the judgement; the zero value is none.
	Verdict certs.Verdict
}

// Stored tells what became of what was put in.
type Stored struct {
	// New were not in the store, Changed were and are different now, Known
	// were as they are.
	New, Changed, Known int
}

// Query says which entries Find returns: those for which all that is set holds.
type Query struct {
	// Address: named by the certificate.
	Address *address.Address
	// Prefix: the fingerprint begins with these hexadecimal digits; all 64 name
	// one certificate. Colons and blanks are passed over.
	Prefix string
	// Issuer (DER name) and Serial.
	Issuer []byte
	Serial *big.Int
	// KeyID: the subject key identifier, in the certificate or computed.
	KeyID []byte
	// Origins: one of these.
	Origins []Origin
	// HasKey: whether the private key is there.
	HasKey *bool
	Mark   Mark
	// EndsBefore: the certificate's validity ends before.
	EndsBefore time.Time
	// Chain: fill in Entry.Chain.
	Chain bool
	// After: only fingerprints that come after this one; with Limit it reads a
	// store in parts. Entries come in the order of their fingerprints, or, by
	// Address, of the start of their validity, latest first.
	After []byte
	// Limit is the most entries; 0 is all.
	Limit int
}
