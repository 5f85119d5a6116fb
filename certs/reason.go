package certs

// Reason is the word that says why a certificate was refused. docs/reasons.md
// lists them.
type Reason string

// The reasons.
const (
	Expired           Reason = "expired"
	NotYetValid       Reason = "not-yet-valid"
	Untrusted         Reason = "untrusted"
	Revoked           Reason = "revoked"
	RevocationUnknown Reason = "revocation-unknown"
	WrongPurpose      Reason = "wrong-purpose"
	WrongAddress      Reason = "wrong-address"
	WeakKey           Reason = "weak-key"
	WeakSignature     Reason = "weak-signature"
	NameConstraint    Reason = "name-constraint"
)
