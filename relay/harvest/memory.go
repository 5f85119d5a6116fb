package harvest

import (
	"sync"
	"time"
)

// remembered is how many certificates a memory knows at most.
const remembered = 10_000

// memory knows for a while what was done about a certificate, so that it is not
// done again with every message. The zero value with hold set is ready.
type memory[V comparable] struct {
	hold time.Duration

	mu      sync.Mutex
	entries map[[32]byte]memo[V]
}

type memo[V comparable] struct {
	value V
	until time.Time
}

// has reports whether value is what was remembered last.
func (m *memory[V]) has(fingerprint [32]byte, value V, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.knows(fingerprint, value, now)
}

func (m *memory[V]) knows(fingerprint [32]byte, value V, now time.Time) bool {
	e, ok := m.entries[fingerprint]
	return ok && e.value == value && now.Before(e.until)
}

// put remembers value and reports whether that is news.
func (m *memory[V]) put(fingerprint [32]byte, value V, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.knows(fingerprint, value, now) {
		return false
	}
	if m.entries == nil || len(m.entries) >= remembered {
		m.entries = make(map[[32]byte]memo[V])
	}
	m.entries[fingerprint] = memo[V]{value, now.Add(m.hold)}
	return true
}
