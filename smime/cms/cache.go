package cms

import (
	"crypto/sha256"
	"crypto/x509"

	"github.com/smimerelay/smimerelay/internal/cache"
)

// A CertificateCache remembers parsed certificates: parsing one takes a third of
// the time of verifying with it, and correspondents send the same few with each
// message. What it hands out is shared and must not be changed. It may be used
// by several goroutines; nil and the zero value remember nothing.
type CertificateCache struct {
	certificates *cache.Cache[[sha256.Size]byte, *x509.Certificate]
}

// NewCertificateCache returns a cache that holds certificates of at most size
// octets of DER; parsed they take some five times as much.
func NewCertificateCache(size int) *CertificateCache {
	return &CertificateCache{cache.New[[sha256.Size]byte](size, func(c *x509.Certificate) int { return len(c.Raw) })}
}

// ParseSignedData is the function of that name, and finds certificates in the
// cache.
func (c *CertificateCache) ParseSignedData(ber []byte) (*SignedData, error) {
	return parseSignedData(ber, c.parse, maxCertificates)
}

// parse returns the certificate from the cache, or parses and keeps it.
func (c *CertificateCache) parse(der []byte) (*x509.Certificate, error) {
	if c == nil || c.certificates == nil {
		return parseCertificate(der)
	}
	key := sha256.Sum256(der)
	if cert, ok := c.certificates.Get(key); ok {
		return cert, nil
	}
	cert, err := parseCertificate(der)
	if err == nil {
		c.certificates.Put(key, cert)
	}
	return cert, err
}
