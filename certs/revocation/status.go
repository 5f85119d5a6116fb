// Package revocation finds out whether a certificate was revoked: from
// certificate revocation lists (RFC 5280 section 5) and by OCSP (RFC 6960). It
// holds the only code that fetches an address which a certificate names.
package revocation

import "time"

// Status is what is known about a certificate.
type Status int

// The three ways, never two.
const (
	Unknown Status = iota
	Good
	Revoked
)

// Answer is a status with its explanation.
type Answer struct {
	Status Status
	// Text says where the status comes from, or why there is none.
	Text string
	// NextUpdate is until when the answer holds; zero where it does not.
	NextUpdate time.Time
	// Nowhere: the status is unknown and stays so, for there is no service to ask.
	Nowhere bool
}
