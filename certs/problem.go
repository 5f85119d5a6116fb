package certs

import (
	"crypto/x509"
	"fmt"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"time"
	"unicode/utf8"
)

// problem is why a certificate or a path is refused.
type problem struct {
	reason Reason
	text   string
}

func (p *problem) Error() string { return string(p.reason) + ": " + p.text }

// refuse makes a problem that names the certificate it is with.
func refuse(r Reason, c *x509.Certificate, format string, args ...any) *problem {
	return &problem{reason: r, text: clip(fmt.Sprintf("certificate of %q: ", clip(label(c), maxName))+fmt.Sprintf(format, args...), maxText)}
}

// Limits of explanations, in octets: strangers write the names in certificates.
const (
	maxName = 100
	maxText = 500
)

// clip shortens s to at most n octets, not in the middle of a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// label is how a certificate is called in explanations: by its common name, a
// mailbox, or what else there is.
func label(c *x509.Certificate) string {
	if c.Subject.CommonName != "" {
		return c.Subject.CommonName
	}
	for _, m := range mailboxes(c) {
		return m.text
	}
	if text := pkix.SubjectString(c); text != "" {
		return text
	}
	return "serial " + c.SerialNumber.Text(16)
}

// nameOf is how the issuer of c is called in explanations.
func nameOf(c *x509.Certificate) string {
	if c.Issuer.CommonName != "" {
		return c.Issuer.CommonName
	}
	return pkix.IssuerString(c)
}

func checkDates(c *x509.Certificate, at time.Time) *problem {
	switch {
	case at.Before(c.NotBefore):
		return refuse(NotYetValid, c, "valid from %s", c.NotBefore.UTC().Format(time.RFC3339))
	case at.After(c.NotAfter):
		return refuse(Expired, c, "expired at %s", c.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}
