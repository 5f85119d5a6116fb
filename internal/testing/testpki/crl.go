package testpki

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"time"
)

// CRL describes a revocation list.
type CRL struct {
	// Revoked are the certificates on the list, for the reason given.
	Revoked []*x509.Certificate
	// Reason is the CRLReason of RFC 5280 section 5.3.1 for all of them.
	Reason int
	// Entries are added as they are.
	Entries []x509.RevocationListEntry
	// Number is 1 where nil.
	Number *big.Int
	// ThisUpdate is an hour ago and NextUpdate a week after it where zero.
	ThisUpdate, NextUpdate time.Time
	Signature              x509.SignatureAlgorithm
	// Extensions are added, such as issuingDistributionPoint.
	Extensions []pkix.Extension
}

// CRL returns a revocation list of ca, in DER.
func (ca *CA) CRL(c CRL) ([]byte, error) {
	if c.ThisUpdate.IsZero() {
		c.ThisUpdate = time.Now().Add(-backdate)
	}
	if c.NextUpdate.IsZero() {
		c.NextUpdate = c.ThisUpdate.Add(7 * 24 * time.Hour)
	}
	if c.Number == nil {
		c.Number = big.NewInt(1)
	}
	list := &x509.RevocationList{
		SignatureAlgorithm:        c.Signature,
		Number:                    c.Number,
		ThisUpdate:                c.ThisUpdate,
		NextUpdate:                c.NextUpdate,
		ExtraExtensions:           c.Extensions,
		RevokedCertificateEntries: c.Entries,
	}
	for _, cert := range c.Revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: cert.SerialNumber, RevocationTime: c.ThisUpdate, ReasonCode: c.Reason,
		})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, ca.Certificate, ca.Key)
	if err != nil {
		return nil, fmt.Errorf("crl of %q: %w", ca.Certificate.Subject, err)
	}
	return der, nil
}
