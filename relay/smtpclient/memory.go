package smtpclient

import (
	"sync"
	"time"
)

const (
	memoryTime = time.Hour // for how long something is remembered
	memorySize = 1000      // of how many servers
)

// memory remembers addresses of servers for a while. It is safe for concurrent use.
type memory struct {
	mu    sync.Mutex
	until map[string]time.Time
}

// add remembers an address. Where there are too many, it forgets the one that it would
// forget next.
func (m *memory) add(address string, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.until == nil {
		m.until = map[string]time.Time{}
	}
	m.until[address] = now.Add(memoryTime)
	if len(m.until) <= memorySize {
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
func (m *memory) has(address string, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return now.Before(m.until[address])
}
