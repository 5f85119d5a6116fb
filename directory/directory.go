// Package directory finds the certificates of a recipient, says where each came
// from, and never confuses "there is none" with "I could not find out".
//
// A Directory asks its sources in order, validates every certificate before it
// offers one (what a directory answers is untrusted input), and remembers the
// outcome for a while. A source is an LDAP server, a folder of files, DNS or a
// web service; it knows nothing of trust and only hands over what it found.
package directory

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// Outcome is what a lookup came to: three ways, never two.
type Outcome string

// The outcomes.
const (
	Usable  Outcome = "usable"
	None    Outcome = "none"
	Unknown Outcome = "unknown"
)

// Result is the outcome of a lookup with everything that led to it. Results are
// shared between callers: read them only.
type Result struct {
	Outcome Outcome
	// Certificates are the usable ones, best first; empty unless Usable.
	Certificates []*x509.Certificate
	// Candidates are all that was seen, in the order of the sources.
	Candidates []Candidate
	// Answers tell what each source asked said.
	Answers []Answer
	// Group is the source that knows the address as that of a group, "" if
	// none does: its members can be had from Expand.
	Group string
}

// or returns what is known of an address that has no certificate and of its
// mailbox. Both results may be remembered: nothing is appended to their lists.
func (r Result) or(mailbox Result) Result {
	return Result{
		Outcome:      mailbox.Outcome,
		Certificates: mailbox.Certificates,
		Candidates:   slices.Concat(r.Candidates, mailbox.Candidates),
		Answers:      slices.Concat(r.Answers, mailbox.Answers),
	}
}

// Candidate is a certificate that may serve, with the verdict on it.
type Candidate struct {
	Certificate *x509.Certificate
	// Address is the one that it was looked for.
	Address address.Address
	Source  string
	Verdict certs.Verdict
	// Ciphers are the content ciphers that the owner claims to read, the
	// preferred first; none: nothing is known (RFC 8551 section 2.5.2).
	Ciphers []cms.Cipher
}

// Answer is what one source said.
type Answer struct {
	Source  string
	Found   int
	Err     error
	Elapsed time.Duration
	Cached  bool
	// Notes are what an administrator should know of this answer: several
	// entries with one address, values that could not be read.
	Notes []string
	// Empty is the base of an LDAP directory in which no entry has what its filter asks for;
	// only Probe looks for that.
	Empty string
}

// Finder looks recipients up. *Directory is the one implementation.
type Finder interface {
	Lookup(ctx context.Context, addr address.Address) Result
	// Remembers reports whether Lookup has its answer about addr already, so that to ask
	// ahead of need brings nothing.
	Remembers(addr address.Address) bool
}

// Finding is what a source found, with what is worth telling about it.
type Finding struct {
	Certificates []*x509.Certificate
	Claims       []Claim
	// Refused are those that the source knows not to be used, and why: the Checker may hear of
	// it later.
	Refused map[*x509.Certificate]*certs.Problem
	// Aliases are further addresses of the mailbox, which the Directory finds out: a
	// certificate may name one of them instead.
	Aliases []address.Address
	// AnyName tells that the configuration says whose the certificates are: their names
	// are not compared.
	AnyName bool
	// Group tells that the address is that of a group.
	Group bool
	Notes []string
}

// Claim is what a signer said, in a signature that is good, about the ciphers
// that they read. Nothing is known yet about the signer's certificate.
type Claim struct {
	Signer *x509.Certificate
	// Preferred names the certificate that the signer wants to be encrypted
	// to; nil is Signer itself (RFC 8551 section 2.5.3).
	Preferred *cms.ID
	Ciphers   []cms.Cipher
}

// Capabilities knows what ciphers the owners of certificates read, from signed
// mail of theirs that passed every check.
type Capabilities interface {
	// Ciphers returns, by SHA-256 fingerprint of the certificate to encrypt to,
	// the ciphers of those of whom some are known, the preferred first.
	Ciphers(ctx context.Context, fingerprints ...[sha256.Size]byte) (map[[sha256.Size]byte][]cms.Cipher, error)
}
