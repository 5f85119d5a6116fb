package path

import (
	"crypto/sha256"
	"time"

	"github.com/smimerelay/smimerelay/certs"
)

// Exception trusts or blocks one certificate, of an end entity or of an
// authority, whatever the trust anchors say.
type Exception struct {
	// SHA256 is the fingerprint of the certificate.
	SHA256 [sha256.Size]byte
	// Allow makes the certificate a trust anchor; otherwise it is blocked, with
	// everything below it.
	Allow bool
	// Note says why; explanations repeat it.
	Note string
	// Until ends the exception; zero is never.
	Until time.Time
}

// exception returns what is in force for a certificate at a time, nil if nothing.
func (v *Validator) exception(n *node, at time.Time) *Exception {
	for i, e := range v.exceptions[n.fp] {
		if e.Until.IsZero() || !at.After(e.Until) {
			return &v.exceptions[n.fp][i]
		}
	}
	return nil
}

// anchored reports whether n is a trust anchor at the time.
func (v *Validator) anchored(n *node, at time.Time) bool {
	if v.anchorSet[n.fp] {
		return true
	}
	e := v.exception(n, at)
	return e != nil && e.Allow
}

// checkBlocked refuses what is blocked. A block counts before an allowance.
func (v *Validator) checkBlocked(n *node, at time.Time) *certs.Problem {
	e := v.exception(n, at)
	if e == nil || e.Allow {
		return nil
	}
	return certs.RefuseBlocked(n.Certificate, e.Note)
}

// byFingerprint sorts blocks before allowances.
func byFingerprint(list []Exception) map[fingerprint][]Exception {
	m := map[fingerprint][]Exception{}
	for _, allow := range []bool{false, true} {
		for _, e := range list {
			if e.Allow == allow {
				m[e.SHA256] = append(m[e.SHA256], e)
			}
		}
	}
	return m
}
