package path

import (
	"crypto/sha256"
	"crypto/x509"

	"github.com/smimerelay/smimerelay/internal/cache"
)

// maxRemembered limits the paths that are remembered.
const maxRemembered = 4096

// memory keeps the paths whose signatures were verified, by the end entity's
// fingerprint. A path in it is not thereby valid: dates, constraints, policies
// and revocation are looked at every time, only the public-key operations are
// not done again. It belongs to one Validator and so to one set of anchors.
type memory = cache.Cache[fingerprint, []*node]

func newMemory() *memory { return cache.New[fingerprint, []*node](maxRemembered, nil) }

// node returns the node of a certificate: that of the path that is remembered for the same
// octets, if there is one.
func (v *Validator) node(c *x509.Certificate) *node {
	if path, ok := v.paths.Get(sha256.Sum256(c.Raw)); ok {
		return path[0]
	}
	return newNode(c)
}
