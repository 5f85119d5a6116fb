package ca

import (
	"fmt"
	"strings"
)

// Reason is why a certificate is revoked (RFC 5280 section 5.3.1), in the words
// of the command line.
type Reason string

// The reasons. Unspecified is not written into lists (BR 7.2.2).
const (
	Unspecified        Reason = "unspecified"
	KeyCompromise      Reason = "key-compromise"
	CACompromise       Reason = "ca-compromise"
	AffiliationChanged Reason = "affiliation-changed"
	Superseded         Reason = "superseded"
	Cessation          Reason = "cessation"
	PrivilegeWithdrawn Reason = "privilege-withdrawn"
)

// Reasons are all of them, for the command line. certificateHold is not among
// them: what was revoked stays so.
var Reasons = []string{
	string(Unspecified), string(KeyCompromise), string(CACompromise), string(AffiliationChanged),
	string(Superseded), string(Cessation), string(PrivilegeWithdrawn),
}

var codes = map[Reason]int{
	Unspecified: 0, KeyCompromise: 1, CACompromise: 2, AffiliationChanged: 3,
	Superseded: 4, Cessation: 5, PrivilegeWithdrawn: 9,
}

// code returns the number of a reason. Of an authority one must be given (BR
// 7.2.2), and the compromise of an authority does not apply to other certificates.
func (r Reason) code(authority bool) (int, error) {
	if r == "" {
		r = Unspecified
	}
	code, ok := codes[r]
	switch {
	case !ok:
		return 0, fmt.Errorf("reason %q is not known; use one of %s", r, strings.Join(Reasons, ", "))
	case authority && code == 0:
		return 0, fmt.Errorf("an authority is revoked for a reason that the list names; use one of %s", strings.Join(Reasons[1:], ", "))
	case !authority && r == CACompromise:
		return 0, fmt.Errorf("reason %q is for the certificates of authorities; use %q", r, KeyCompromise)
	}
	return code, nil
}

// ReasonOf is the word for a number of RFC 5280 section 5.3.1; Unspecified for one
// that we do not use.
func ReasonOf(code int) Reason {
	for r, c := range codes {
		if c == code {
			return r
		}
	}
	return Unspecified
}

// Final reports whether a certificate was revoked for good: its owner has lost
// the address or the right to it, which another certificate would not mend.
func (r Reason) Final() bool {
	return r == AffiliationChanged || r == Cessation || r == PrivilegeWithdrawn
}
