package directory

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/fault"
)

// Limits on what one source may have for one address.
const (
	maxCertificates = 20       // the youngest are kept
	maxAuthorities  = 20       // certificates of authorities, to build chains
	maxValue        = 64 << 10 // octets of one certificate, or of one value that holds some
)

// isAuthority reports whether c may have issued others.
func isAuthority(c *x509.Certificate) bool { return c.BasicConstraintsValid && c.IsCA }

// trimmed returns what counts of a finding: each certificate costs a validation,
// and every owner of a directory entry can put many into it. What may serve comes
// before what cannot: companies publish certificates for all purposes there.
func trimmed(f Finding, now time.Time) Finding {
	var leaves, authorities []*x509.Certificate
	seen := make(map[string]bool)
	for _, c := range f.Certificates {
		switch {
		case len(c.Raw) > maxValue:
			f.note("certificate of %d octets ignored", len(c.Raw))
		case !once(seen, string(c.Raw)):
		case isAuthority(c) && len(authorities) < maxAuthorities:
			authorities = append(authorities, c)
		case isAuthority(c):
			f.note("more than %d CA certificates", maxAuthorities)
		default:
			leaves = append(leaves, c)
		}
	}
	if len(leaves) > maxCertificates {
		f.note("%d certificates, only the newest %d usable ones are considered", len(leaves), maxCertificates)
		slices.SortFunc(leaves, func(a, b *x509.Certificate) int {
			return cmp.Or(rank(b, now)-rank(a, now), certs.ByAge(a, b))
		})
		leaves = leaves[:maxCertificates]
	}
	f.Certificates = append(leaves, authorities...)
	return f
}

// rank is 1 for certificates that may serve now, as far as can be seen at once.
func rank(c *x509.Certificate, now time.Time) int {
	if certs.Decrypts(c) && !now.Before(c.NotBefore) && !now.After(c.NotAfter) {
		return 1
	}
	return 0
}

// note adds a note, in a list of its own: the source may keep the one it gave.
func (f *Finding) note(format string, args ...any) {
	note := fmt.Sprintf(format, args...)
	if !slices.Contains(f.Notes, note) {
		f.Notes = append(slices.Clip(f.Notes), note)
	}
}

// noteEach notes each of the errors that one joins.
func (f *Finding) noteEach(err error) {
	for _, e := range fault.Each(err) {
		f.note("%v", e)
	}
}

// judged returns the candidate of a certificate that an earlier source had too,
// nil if none had.
func (r *Result) judged(c *x509.Certificate) *Candidate {
	for i := range r.Candidates {
		if bytes.Equal(r.Candidates[i].Certificate.Raw, c.Raw) {
			return &r.Candidates[i]
		}
	}
	return nil
}

// unjudged drops the certificates that an earlier source had already, but for
// those without a path to an anchor when this source has certificates of
// authorities, by which there may be one, and for those that name another address
// when this source knows aliases.
func (r *Result) unjudged(f Finding) Finding {
	hints := slices.ContainsFunc(f.Certificates, isAuthority)
	f.Certificates = slices.DeleteFunc(slices.Clone(f.Certificates), func(c *x509.Certificate) bool {
		earlier := r.judged(c)
		if earlier == nil {
			return false
		}
		again := hints && earlier.Verdict.Reason == certs.Untrusted ||
			len(f.Aliases) > 0 && earlier.Verdict.Reason == certs.WrongAddress
		return !again
	})
	return f
}

// additions drops the candidates that were judged again and are refused again.
func (r *Result) additions(judged []Candidate) []Candidate {
	return slices.DeleteFunc(judged, func(c Candidate) bool {
		return c.Verdict.Result != certs.Pass && r.judged(c.Certificate) != nil
	})
}
