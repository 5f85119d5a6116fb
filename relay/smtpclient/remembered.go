package smtpclient

import (
	"sync"
	"time"
)

const (
	rememberedTime = time.Hour // for how long something is remembered
	rememberedSize = 1000      // of how many servers
)

// remembered are addresses of servers that are kept for a while. It is safe for concurrent use.
type remembered struct {
	mu    sync.Mutex
	until map[string]time.Time
}

// add remembers an address. Where there are too many, it forgets the one that it would
// forget next.
func (m *remembered) add(address string, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.until == nil {
		m.until = map[string]time.Time{}
	}
	m.until[address] = now.Add(rememberedTime)
	if len(m.until) <= rememberedSize {
		return
	}
	first := address
	for a, until := range m.until {
		if until.Before(m.until[first]) {
			first = a
		}
	}
	delete(m.until, first)
}

// has reports whether an address is remembered.
func (m *remembered) has(address string, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return now.Before(m.until[address])
}
