// Package enforce is the policy: rules and facts go in, a plan comes out. It is
// a pure function: no network, no files, no clock; it imports nothing that does
// I/O, so that every decision can be repeated and explained.
package enforce

import "github.com/smimerelay/smimerelay/internal/address"

// Direction tells whether a message leaves or enters.
type Direction string

// The directions.
const (
	Outbound Direction = "outbound"
	Inbound  Direction = "inbound"
)

// Availability is what is known of a certificate or an identity: three ways,
// never two. The zero value is Unknown.
type Availability int

// The states.
const (
	Unknown   Availability = iota // nobody could tell; never read as None
	None                          // there is none, or none usable
	Available                     // at least one is usable
)

// Fingerprint names a certificate by the SHA-256 of its DER encoding. The
// policy moves fingerprints, never certificates.
type Fingerprint [32]byte

// Facts is everything that a decision needs, as data.
type Facts struct {
	Direction Direction
	Sender    address.Address   // envelope sender; may be address.Null
	From      []address.Address // mailboxes of the From field
	// Identity says whether an identity of the sender can sign now.
	Identity Availability
	// IdentityReason says why not, in words.
	IdentityReason string
	// SignForbidden says why this client may not sign as From; "" if it may.
	// Trying again does not help, unlike with an Identity that is missing.
	SignForbidden string
	Signed        bool // the message is S/MIME signed already
	Encrypted     bool // the message is S/MIME encrypted already
	Exempt        bool // a delivery report, read receipt or auto-reply
	Recipients    []RecipientFacts
}

// RecipientFacts is what is known of one recipient.
type RecipientFacts struct {
	Address address.Address
	// Hidden means in the envelope and in neither To nor Cc.
	Hidden bool
	// Certificate is the outcome of the lookup.
	Certificate Availability
	// Usable are the certificates to encrypt to; set only when Available.
	Usable []Fingerprint
	// Reason says in words a person understands why Certificate is None or
	// Unknown: "expired 2026-03-01".
	Reason string
}
