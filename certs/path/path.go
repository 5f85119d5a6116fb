package path

import (
	"crypto/x509"
	"encoding/asn1"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/pkix"
)

// checkPath validates a path, leaf first and anchor last, whose signatures are
// good (RFC 5280 section 6.1). The constraints of the anchor count as those of
// any other authority (RFC 5937).
func (v *Validator) checkPath(path []*node, at time.Time) *certs.Problem {
	if p := v.checkDistrust(path); p != nil {
		return p
	}
	var inForce []*constraints
	room := maxPath // max_path_length
	for i := len(path) - 1; i >= 0; i-- {
		n, final := path[i], i == 0
		if p := v.checkOne(n, at, i == len(path)-1); p != nil {
			return p
		}
		if !n.selfIssued() || final {
			if p := checkConstraints(n, inForce); p != nil {
				return p
			}
		}
		if final {
			break
		}
		anchor := i == len(path)-1
		if p := checkAuthority(n, anchor); p != nil {
			return p
		}
		if !anchor && !n.selfIssued() {
			if room == 0 {
				return certs.Refuse(certs.PathLength, n.Certificate, "an authority above it allows no further ones")
			}
			room--
		}
		if n.BasicConstraintsValid && n.MaxPathLen >= 0 && (n.MaxPathLen > 0 || n.MaxPathLenZero) {
			room = min(room, n.MaxPathLen)
		}
		c, ok := readConstraints(n.Certificate)
		if !ok {
			return certs.Refuse(certs.Malformed, n.Certificate, "its name constraints cannot be read")
		}
		if c != nil {
			inForce = append(inForce, c)
		}
	}
	return v.checkPolicies(path)
}

// checkOne judges what every certificate of a path must meet.
func (v *Validator) checkOne(n *node, at time.Time, anchor bool) *certs.Problem {
	if p := v.checkBlocked(n, at); p != nil {
		return p
	}
	if p := checkDates(n.Certificate, at); p != nil {
		return p
	}
	if p := v.checkKey(n.Certificate, n.key); p != nil {
		return p
	}
	if anchor {
		return nil
	}
	if n.problem != nil {
		return n.problem
	}
	if n.algorithm.Broken() || n.algorithm.Weak() && !v.cfg.AllowSHA1 {
		return certs.Refuse(certs.WeakSignature, n.Certificate, "signed with %s", n.algorithm.Digest())
	}
	return checkCritical(n)
}

// checkCritical refuses extensions that must be understood and are not (RFC 5280
// section 4.2).
func checkCritical(n *node) *certs.Problem {
	for _, id := range n.UnhandledCriticalExtensions {
		if !understood(id) {
			return certs.Refuse(certs.CriticalExtension, n.Certificate, "critical extension %s is not understood", id)
		}
	}
	return nil
}

// understood reports critical extensions that this package processes itself, in
// certificates that crypto/x509 has parsed too.
func understood(id asn1.ObjectIdentifier) bool {
	return id.Equal(oidNameConstraints) || id.Equal(pkix.OIDSubjectAltName)
}

// checkAuthority judges whether n may issue certificates (RFC 5280 section 6.1.4
// (k) and (n)), and for mail. A trust anchor may be a certificate of version 1.
func checkAuthority(n *node, anchor bool) *certs.Problem {
	old := anchor && n.Version < 3
	switch {
	case !old && (!n.BasicConstraintsValid || !n.IsCA):
		return certs.Refuse(certs.NotAnAuthority, n.Certificate, "it is not an authority")
	case !pkix.AllowsUse(n.Certificate, x509.KeyUsageCertSign):
		return certs.Refuse(certs.NotAnAuthority, n.Certificate, "its key usage does not allow it to issue certificates")
	case !pkix.AllowsMail(n.Certificate):
		return certs.Refuse(certs.WrongPurpose, n.Certificate, "this authority is not for mail protection")
	}
	return nil
}

func checkConstraints(n *node, inForce []*constraints) *certs.Problem {
	if len(inForce) == 0 {
		return nil
	}
	names := subjectNames(n.Certificate)
	for _, c := range inForce {
		if c.tooMany(names) {
			return certs.Refuse(certs.TooComplex, n.Certificate, "%d names under name constraints", len(names))
		}
		if name := c.check(names); name != "" {
			return certs.Refuse(certs.NameConstraint, n.Certificate, "an authority above it may not certify %q", name)
		}
	}
	return nil
}

// checkDistrust refuses what was issued after the time from which the anchor of a path
// is not trusted for new certificates.
func (v *Validator) checkDistrust(path []*node) *certs.Problem {
	after, ok := v.cfg.DistrustAfter[path[len(path)-1].fp]
	if !ok || !path[0].NotBefore.After(after) {
		return nil
	}
	return certs.Refuse(certs.Untrusted, path[0].Certificate, "its trust anchor is trusted only for certificates issued up to %s", after.UTC().Format(time.DateOnly))
}
