package path

import (
	"crypto/x509"
	"time"

	"github.com/smimerelay/smimerelay/certs"
)

func checkDates(c *x509.Certificate, at time.Time) *certs.Problem {
	switch {
	case at.Before(c.NotBefore):
		return certs.Refuse(certs.NotYetValid, c, "valid from %s", c.NotBefore.UTC().Format(time.RFC3339))
	case at.After(c.NotAfter):
		return certs.Refuse(certs.Expired, c, "expired at %s", c.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}
