package path

import "github.com/smimerelay/smimerelay/internal/cache"

// maxRemembered limits the paths that are remembered.
const maxRemembered = 4096

// memory keeps the paths whose signatures were verified, by the end entity's
// fingerprint. A path in it is not thereby valid: dates, constraints, policies
// and revocation are looked at every time, only the public-key operations are
// not done again. It belongs to one Validator and so to one set of anchors.
type memory = cache.Cache[fingerprint, []*node]

func newMemory() *memory { return cache.New[fingerprint, []*node](maxRemembered, nil) }
