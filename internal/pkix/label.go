package pkix

import "crypto/x509"

// Label is how a certificate is called in explanations: by its common name, a
// mailbox, or what else there is.
func Label(c *x509.Certificate) string {
	if c.Subject.CommonName != "" {
		return c.Subject.CommonName
	}
	for _, m := range Mailboxes(c) {
		return m.Text
	}
	if text := SubjectString(c); text != "" {
		return text
	}
	return "serial " + c.SerialNumber.Text(16)
}

// IssuerLabel is how the issuer of c is called in explanations.
func IssuerLabel(c *x509.Certificate) string {
	if c.Issuer.CommonName != "" {
		return c.Issuer.CommonName
	}
	return IssuerString(c)
}
