package harvest

import (
	"time"

	"github.com/smimerelay/smimerelay/internal/cache"
)

// remembered is how many certificates a memory knows at most.
const remembered = 10_000

// memory knows for a while what was done about a certificate, so that it is not
// done again with every message.
type memory[V comparable] struct {
	hold  time.Duration
	cache *cache.Cache[[32]byte, cache.Timed[V]]
}

func newMemory[V comparable](hold time.Duration) memory[V] {
	return memory[V]{hold, cache.New[[32]byte, cache.Timed[V]](remembered, nil)}
}

// has reports whether value is what was remembered last.
func (m memory[V]) has(fingerprint [32]byte, value V, now time.Time) bool {
	e, ok := m.cache.Get(fingerprint)
	return ok && e.Value == value && e.Current(now, 0)
}

// put remembers value and reports whether that is news.
func (m memory[V]) put(fingerprint [32]byte, value V, now time.Time) (news bool) {
	m.cache.Change(fingerprint, func(old cache.Timed[V], ok bool) (cache.Timed[V], bool) {
		news = !ok || old.Value != value || !old.Current(now, 0)
		return cache.Timed[V]{Value: value, Stored: now, Expires: now.Add(m.hold)}, news
	})
	return news
}
