package certs

import (
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/internal/printable"
)

// Problem is why a certificate or a path is refused.
type Problem struct {
	Reason Reason
	Detail string
}

// Error returns the reason word and the detail.
func (p *Problem) Error() string { return string(p.Reason) + ": " + p.Detail }

// Refuse makes a Problem that names the certificate it is with.
func Refuse(r Reason, c *x509.Certificate, format string, args ...any) *Problem {
	return &Problem{Reason: r, Detail: printable.Clip(fmt.Sprintf("certificate of %q: ", printable.Clip(pkix.Label(c), maxName))+fmt.Sprintf(format, args...), maxText)}
}

// RefuseBlocked is Refuse for a certificate that is blocked; the note may be empty.
func RefuseBlocked(c *x509.Certificate, note string) *Problem {
	if note == "" {
		return Refuse(Blocked, c, "it is blocked")
	}
	return Refuse(Blocked, c, "it is blocked: %s", note)
}

// Limits of explanations, in octets: strangers write the names in certificates.
const (
	maxName = 100
	maxText = 500
)

// ErrOrdered means that an identity is missing and its certificate was ordered: it comes
// later, without anyone doing anything.
var ErrOrdered = errors.New("a certificate was ordered, and is not there yet")
