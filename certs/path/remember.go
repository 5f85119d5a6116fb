package path

import "sync"

// maxRemembered limits the paths that are remembered, in each of two
// generations.
const maxRemembered = 2048

// memory keeps the paths whose signatures were verified, by the end entity's
// fingerprint. A path in it is not thereby valid: dates, constraints, policies
// and revocation are looked at every time, only the public-key operations are
// not done again. It belongs to one Validator and so to one set of anchors.
type memory struct {
	mu         sync.Mutex
	young, old map[fingerprint][]*node
}

func newMemory() *memory {
	return &memory{young: map[fingerprint][]*node{}, old: map[fingerprint][]*node{}}
}

// get returns the remembered path of a certificate, nil if there is none.
func (m *memory) get(fp fingerprint) []*node {
	m.mu.Lock()
	defer m.mu.Unlock()
	path, ok := m.young[fp]
	if !ok {
		if path, ok = m.old[fp]; ok {
			m.put(fp, path)
		}
	}
	return path
}

// add remembers a path.
func (m *memory) add(path []*node) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(path[0].fp, path)
}

func (m *memory) put(fp fingerprint, path []*node) {
	if len(m.young) >= maxRemembered {
		m.young, m.old = map[fingerprint][]*node{}, m.young
	}
	m.young[fp] = path
}
