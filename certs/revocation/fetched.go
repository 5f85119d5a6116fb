package revocation

import (
	"context"
	"time"

	"github.com/smimerelay/smimerelay/internal/background"
	"github.com/smimerelay/smimerelay/internal/cache"
)

// maxAge is after how long a cached value is fetched again, while it is still used.
const maxAge = 24 * time.Hour

// fetched remembers what was fetched until it expires, and failures for a while, and
// lets one fetch serve all who wait for the same thing.
type fetched[V any] struct {
	clock    func() time.Time
	negative time.Duration
	slots    *cache.Cache[string, slot[V]]
	fetches  *background.Group[slot[V]]
}

func newFetched[V any](f *Fetcher, limit int) *fetched[V] {
	return &fetched[V]{f.cfg.Clock, f.cfg.Negative, cache.New[string, slot[V]](limit, nil), background.NewGroup[slot[V]](f.background)}
}

// slot is what is known under a key.
type slot[V any] struct {
	value   V
	has     bool      // value is set
	until   time.Time // of value
	refresh time.Time // when to fetch value again, before it expires
	err     error     // of the last fetch
	retry   time.Time // not before, after an error
}

// loader fetches a value and says until when it holds. Where nothing is known yet
// it may be what is kept on disk.
type loader[V any] func(ctx context.Context, kept bool) (V, time.Time, error)

// get returns the value of a key, fetching it where it is not known. With an
// error, and stale set, value is one that has expired.
func (c *fetched[V]) get(ctx context.Context, key string, load loader[V]) (value V, stale bool, err error) {
	s, _ := c.slots.Get(key)
	fetch := func(ctx context.Context) (slot[V], error) { return c.fetch(ctx, key, load), nil }
	now := c.clock()
	switch {
	case s.due(now) && s.holds(now):
		c.fetches.Start(key, fetch)
	case s.due(now):
		if s, err = c.fetches.Do(ctx, key, fetch); err != nil {
			return value, false, err
		}
	}
	if s.holds(now) {
		return s.value, false, nil
	}
	return s.value, s.has && s.err != nil, s.err
}

// holds reports whether the value has not expired.
func (s *slot[V]) holds(now time.Time) bool { return s.has && !now.After(s.until) }

// due reports whether the value is to be fetched.
func (s *slot[V]) due(now time.Time) bool {
	if s.err != nil && now.Before(s.retry) {
		return false
	}
	return !s.holds(now) || now.After(s.refresh)
}

// reject forgets the value of a key, which turned out to be worthless, and asks for
// no other for a while.
func (c *fetched[V]) reject(key string, err error) {
	c.slots.Put(key, slot[V]{err: err, retry: c.clock().Add(c.negative)})
}

// fetch fetches and enters the outcome, unless that has happened since its caller
// looked.
func (c *fetched[V]) fetch(ctx context.Context, key string, load loader[V]) (s slot[V]) {
	s, known := c.slots.Get(key)
	if known && !s.due(c.clock()) {
		return s
	}
	value, until, err := load(ctx, !known)
	now := c.clock()
	c.slots.Change(key, func(old slot[V], _ bool) (slot[V], bool) {
		if err != nil {
			s = old
			s.err, s.retry = err, now.Add(c.negative)
		} else {
			s = slot[V]{value: value, has: true, until: until, refresh: now.Add(min(until.Sub(now)*3/4, maxAge))}
		}
		return s, true
	})
	return s
}
