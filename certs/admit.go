package certs

import (
	"crypto/rsa"
	"crypto/x509"
	"fmt"

	"github.com/smimerelay/smimerelay/internal/pki"
)

// Limits of a certificate that is kept. Those in use have up to 4 kB and a
// handful of names.
const (
	maxKept      = 64 << 10 // octets
	maxKeptNames = 1000
)

// Admit says why a certificate is not kept, whatever it is for: it would cost
// every later use too much. A certificate that cannot be used for other reasons may
// be kept, and the verdict on it says why.
func Admit(c *x509.Certificate) error {
	names := len(c.EmailAddresses) + len(c.DNSNames) + len(c.IPAddresses) + len(c.URIs)
	switch key := publicRSA(c); {
	case key != nil && key.N.BitLen() > pki.MaxRSA:
		return inadmissible(c, "RSA key of %d bits is over %d", key.N.BitLen(), pki.MaxRSA)
	case names > maxKeptNames || len(mailboxes(c)) > maxKeptNames:
		return inadmissible(c, "%d names are over %d", max(names, len(mailboxes(c))), maxKeptNames)
	case len(c.Raw) > maxKept:
		return inadmissible(c, "%d octets are over %d", len(c.Raw), maxKept)
	}
	return nil
}

func publicRSA(c *x509.Certificate) *rsa.PublicKey {
	switch key := pki.PublicKey(c).(type) {
	case *rsa.PublicKey:
		return key
	case pki.PSSKey:
		return key.PublicKey
	}
	return nil
}

func inadmissible(c *x509.Certificate, format string, args ...any) error {
	return fmt.Errorf("certificate of %q: %s; have another one issued", clip(label(c), maxName), fmt.Sprintf(format, args...))
}
