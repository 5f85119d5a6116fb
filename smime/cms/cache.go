package cms

import (
	"crypto/sha256"
	"crypto/x509"
	"sync"
)

// A CertificateCache remembers parsed certificates: parsing one takes a third of
// the time of verifying with it, and correspondents send the same few with each
// message. What it hands out is shared and must not be changed. It may be used
// by several goroutines; nil is a cache that remembers nothing.
type CertificateCache struct {
	limit int // octets of DER in one generation

	mu         sync.Mutex
	size       int // octets of DER in young
	young, old map[[sha256.Size]byte]*x509.Certificate
}

// NewCertificateCache returns a cache that holds certificates of at most size
// octets of DER; parsed they take some five times as much.
func NewCertificateCache(size int) *CertificateCache {
	return &CertificateCache{limit: size / 2, young: make(map[[sha256.Size]byte]*x509.Certificate)}
}

// ParseSignedData is the function of that name, and finds certificates in the
// cache.
func (c *CertificateCache) ParseSignedData(ber []byte) (*SignedData, error) {
	return parseSignedData(ber, c.parse, maxCertificates)
}

// parse returns the certificate from the cache, or parses and keeps it. There
// are two generations: what was not asked for while a whole young one grew is
// forgotten.
func (c *CertificateCache) parse(der []byte) (*x509.Certificate, error) {
	if c == nil || len(der) > c.limit {
		return parseCertificate(der)
	}
	key := sha256.Sum256(der)
	c.mu.Lock()
	cert := c.young[key]
	if cert == nil {
		if cert = c.old[key]; cert != nil {
			c.keep(key, cert)
		}
	}
	c.mu.Unlock()
	if cert != nil {
		return cert, nil
	}
	cert, err := parseCertificate(der)
	if err == nil {
		c.mu.Lock()
		c.keep(key, cert)
		c.mu.Unlock()
	}
	return cert, err
}

// keep puts a certificate into the young generation, which makes it the old one
// when it is full.
func (c *CertificateCache) keep(key [sha256.Size]byte, cert *x509.Certificate) {
	if c.young[key] != nil {
		return
	}
	if c.size+len(cert.Raw) > c.limit {
		c.old, c.young, c.size = c.young, make(map[[sha256.Size]byte]*x509.Certificate), 0
	}
	c.young[key] = cert
	c.size += len(cert.Raw)
}
