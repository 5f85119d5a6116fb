// Package directory finds the certificates of a recipient, says where each came
// from, and never confuses "there is none" with "I could not find out".
package directory

import (
	"context"
	"crypto/x509"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/address"
)

// Outcome is what a lookup came to: three ways, never two.
type Outcome string

// The outcomes.
const (
	Usable  Outcome = "usable"
	None    Outcome = "none"
	Unknown Outcome = "unknown"
)

// Result is the outcome of a lookup with everything that led to it.
type Result struct {
	Outcome Outcome
	// Certificates are the usable ones, best first; empty unless Usable.
	Certificates []*x509.Certificate
	// Candidates are all that was seen, in the order of the sources.
	Candidates []Candidate
	// Answers tell what each source asked said.
	Answers []Answer
}

// Candidate is a certificate that may serve, with the verdict on it.
type Candidate struct {
	Certificate *x509.Certificate
	Source      string
	Verdict     certs.Verdict
}

// Answer is what one source said.
type Answer struct {
	Source  string
	Found   int
	Err     error
	Elapsed time.Duration
	Cached  bool
}

// Finder looks recipients up. *Directory is the one implementation.
type Finder interface {
	Lookup(ctx context.Context, addr address.Address) Result
}
