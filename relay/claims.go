package relay

import (
	"crypto/sha256"
	"sync"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// maxClaims bounds the certificates of which claims are kept.
const maxClaims = 10_000

// claims are the content ciphers that signers of inbound mail said they read,
// kept for their certificates (RFC 8551 section 2.7.1). They are in memory:
// whoever is forgotten gets what everybody reads.
type claims struct {
	mu      sync.Mutex
	ciphers map[enforce.Fingerprint][]cms.Cipher
}

// learn takes the claims of a message that passed: those of any other are
// anybody's.
func (c *claims) learn(r *smime.Report) {
	if r.Result != certs.Pass {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ciphers == nil || len(c.ciphers) >= maxClaims {
		c.ciphers = make(map[enforce.Fingerprint][]cms.Cipher)
	}
	for _, s := range r.Signers {
		if list := s.Capabilities.Ciphers(); s.Result == certs.Pass && s.Certificate != nil && len(list) > 0 {
			c.ciphers[sha256.Sum256(s.Certificate.Raw)] = list
		}
	}
}

// of returns the claims kept for a certificate, nil if there are none.
func (c *claims) of(fp enforce.Fingerprint) []cms.Cipher {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ciphers[fp]
}
