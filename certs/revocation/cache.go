package revocation

import (
	"context"
	"errors"
	"sync"
	"time"
)

// maxAge is after how long a cached value is fetched again, while it is still used.
const maxAge = 24 * time.Hour

// cache remembers what was fetched until it ends, and failures for a while, and
// lets one fetch serve all who wait for the same thing.
type cache[V any] struct {
	clock    func() time.Time
	negative time.Duration
	limit    int               // slots
	start    func(func()) bool // runs a fetch under the fetcher's care, unless that is closed

	mu    sync.Mutex
	slots map[string]*slot[V]
}

// slot is what is known under a key.
type slot[V any] struct {
	value   V
	has     bool      // value is set
	until   time.Time // of value
	refresh time.Time // when to fetch value again, before it expires
	err     error     // of the last fetch
	retry   time.Time // not before, after an error
	flight  chan struct{}
}

// loader fetches a value and says until when it holds. Where nothing is known yet
// it may be what is kept on disk.
type loader[V any] func(kept bool) (V, time.Time, error)

var errClosed = errors.New("the fetcher is closed")

// get returns the value of a key, fetching it where it is not known. With an
// error, and stale set, value is one that has ended.
func (c *cache[V]) get(ctx context.Context, key string, load loader[V]) (value V, stale bool, err error) {
	c.mu.Lock()
	s := c.slot(key)
	now := c.clock()
	switch {
	case s.has && !now.After(s.until):
		if now.After(s.refresh) && !now.Before(s.retry) {
			c.launch(s, load)
		}
		value = s.value
		c.mu.Unlock()
		return value, false, nil
	case s.err != nil && now.Before(s.retry):
		defer c.mu.Unlock()
		return s.value, s.has, s.err
	}
	flight := c.launch(s, load)
	c.mu.Unlock()
	select {
	case <-flight:
	case <-ctx.Done():
		return value, false, ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.err != nil {
		return s.value, s.has, s.err
	}
	return s.value, false, nil
}

func (c *cache[V]) slot(key string) *slot[V] {
	s := c.slots[key]
	if s != nil {
		return s
	}
	if len(c.slots) >= c.limit {
		for k, old := range c.slots {
			if old.flight == nil {
				delete(c.slots, k)
				break
			}
		}
	}
	s = &slot[V]{}
	c.slots[key] = s
	return s
}

// reject forgets the value of a key, which turned out to be worthless, and asks for
// no other for a while.
func (c *cache[V]) reject(key string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.slot(key)
	var none V
	s.value, s.has = none, false
	s.err, s.retry = err, c.clock().Add(c.negative)
}

// launch starts a fetch unless one is on its way.
func (c *cache[V]) launch(s *slot[V], load loader[V]) chan struct{} {
	if s.flight != nil {
		return s.flight
	}
	flight := make(chan struct{})
	s.flight = flight
	started := c.start(func() {
		defer close(flight)
		c.fetch(s, load)
	})
	if !started {
		s.flight, s.err = nil, errClosed
		close(flight)
	}
	return flight
}

// fetch fetches and enters the outcome.
func (c *cache[V]) fetch(s *slot[V], load loader[V]) {
	c.mu.Lock()
	kept := !s.has && s.err == nil
	c.mu.Unlock()
	value, until, err := load(kept)
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clock()
	s.flight = nil
	if err != nil {
		s.err, s.retry = err, now.Add(c.negative)
		return
	}
	s.value, s.has, s.err = value, true, nil
	s.until = until
	s.refresh = now.Add(min(until.Sub(now)*3/4, maxAge))
	s.retry = now
}
