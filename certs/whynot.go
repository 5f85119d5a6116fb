package certs

import (
	"context"
	"crypto/x509"
	"time"

	"github.com/smimerelay/smimerelay/smime/address"
)

// WhyNot implements Keys. Of several identities the one that Signing would
// prefer is the one that people ask about.
func (k *FileKeys) WhyNot(_ context.Context, addr address.Address) string {
	if addr.IsNull() {
		return ""
	}
	for _, id := range k.byAddress[addr.Key(address.IgnoreCase)] {
		if k.names(id.Certificate, addr) {
			return outside(id.Certificate, k.clock())
		}
	}
	return ""
}

// outside says why a certificate is not valid at a time; "" if it is.
func outside(c *x509.Certificate, at time.Time) string {
	switch {
	case at.After(c.NotAfter):
		return "expired " + c.NotAfter.UTC().Format(time.DateOnly)
	case at.Before(c.NotBefore):
		return "not valid before " + c.NotBefore.UTC().Format(time.DateOnly)
	}
	return ""
}

// WhyNot implements Keys.
func (j joined) WhyNot(ctx context.Context, addr address.Address) string {
	for _, k := range j {
		if why := k.WhyNot(ctx, addr); why != "" {
			return why
		}
	}
	return ""
}
