package certs

// Reason is the word that says why a certificate was refused. docs/reasons.md
// lists them.
type Reason string

// The reasons.
const (
	Expired            Reason = "expired"
	NotYetValid        Reason = "not-yet-valid"
	Untrusted          Reason = "untrusted"
	Revoked            Reason = "revoked"
	RevocationUnknown  Reason = "revocation-unknown"
	NoRevocationInfo   Reason = "no-revocation-information"
	WrongPurpose       Reason = "wrong-purpose"
	WrongAddress       Reason = "wrong-address"
	WeakKey            Reason = "weak-key"
	WeakSignature      Reason = "weak-signature"
	NameConstraint     Reason = "name-constraint"
	BadSignature       Reason = "bad-signature"
	UnsupportedKey     Reason = "unsupported-key"
	UnsupportedSigning Reason = "unsupported-signature"
	NotAnAuthority     Reason = "not-an-authority"
	PathLength         Reason = "path-length"
	CriticalExtension  Reason = "critical-extension"
	PolicyMissing      Reason = "policy-missing"
	Malformed          Reason = "malformed"
	Blocked            Reason = "blocked"
	TooComplex         Reason = "too-complex"
	NotApproved        Reason = "not-approved"
)

// Result is the word of RFC 8601 that goes with r.
func (r Reason) Result() Result {
	switch r {
	case "":
		return Pass
	case RevocationUnknown:
		return TempError
	case WeakKey, WeakSignature, Blocked, PolicyMissing, NoRevocationInfo, NotApproved:
		return PolicyNo
	}
	return Fail
}
