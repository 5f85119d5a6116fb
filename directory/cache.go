package directory

import (
	"container/list"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime/address"
)

// cache remembers answers by key, the least recently used leave first.
type cache[T any] struct {
	mu      sync.Mutex
	limit   int
	entries map[string]*list.Element
	order   *list.List // of *entry[T], most recently used first
}

type entry[T any] struct {
	key     string
	result  T
	stored  time.Time
	expires time.Time
	version uint64
	// own is the version for this address; nil is not known.
	own *uint64
}

func newCache[T any](limit int) *cache[T] {
	return &cache[T]{limit: max(limit, 0), entries: make(map[string]*list.Element), order: list.New()}
}

func (c *cache[T]) get(key string) (entry[T], bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[key]
	if !ok {
		return entry[T]{}, false
	}
	c.order.MoveToFront(e)
	return *e.Value.(*entry[T]), true
}

func (c *cache[T]) put(e entry[T]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, ok := c.entries[e.key]; ok {
		old.Value = &e
		c.order.MoveToFront(old)
		return
	}
	c.entries[e.key] = c.order.PushFront(&e)
	for len(c.entries) > c.limit {
		last := c.order.Back()
		delete(c.entries, c.order.Remove(last).(*entry[T]).key)
	}
}

func (c *cache[T]) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.entries)
	c.order.Init()
}

// cached returns the outcome remembered for key if it still counts and nothing at
// all has changed since.
func (d *Directory) cached(key string) (Result, bool) {
	e, ok := d.cache.get(key)
	if !ok || !d.cfg.Clock().Before(e.expires) || e.version != d.Version() {
		return Result{}, false
	}
	return e.result, true
}

// unchanged returns the outcome remembered for key if it still counts, though
// something has changed: the answers about other addresses. So it takes more than
// each new certificate in the store to empty the cache.
func (d *Directory) unchanged(ctx context.Context, key string, addr address.Address) (Result, bool) {
	e, ok := d.cache.get(key)
	if !ok || !d.cfg.Clock().Before(e.expires) {
		return Result{}, false
	}
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Timeout)
	defer cancel()
	version := d.Version()
	if !d.sameFor(ctx, e, addr) {
		return Result{}, false
	}
	d.cache.confirm(e, version)
	return e.result, true
}

// sameFor reports whether it is certain that the answers about addr have not
// changed since e was remembered.
func (d *Directory) sameFor(ctx context.Context, e entry[Result], addr address.Address) bool {
	if e.own == nil {
		return false
	}
	own := d.versionFor(ctx, addr)
	return own != nil && *own == *e.own
}

// confirm notes that an entry counts for a version too, unless another has taken
// its place.
func (c *cache[T]) confirm(e entry[T], version uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now, ok := c.entries[e.key]; ok && now.Value.(*entry[T]).stored.Equal(e.stored) {
		e.version = version
		now.Value = &e
	}
}

// remember keeps an outcome for as long as it can be relied on.
func (d *Directory) remember(key string, version uint64, own *uint64, r Result) {
	now := d.cfg.Clock()
	expires := d.expiry(now, r)
	if !expires.After(now) {
		return
	}
	r.Answers = slices.Clone(r.Answers)
	for i := range r.Answers {
		r.Answers[i].Cached = true
	}
	d.cache.put(entry[Result]{key: key, result: r, stored: now, expires: expires, version: version, own: own})
}

// expiry is when an outcome must be found out again: after the configured time,
// and before any date in a certificate changes it.
func (d *Directory) expiry(now time.Time, r Result) time.Time {
	if r.Outcome == None {
		return earliest(now.Add(d.cfg.Negative), now, beginnings(r.Candidates))
	}
	lifetime := d.cfg.Positive
	if r.unanswered() || r.revocationUnknown() {
		// A source that was to be preferred may have had a better one, and who
		// did not know of a revocation may soon.
		lifetime = min(lifetime, d.cfg.Negative)
	}
	return earliest(now.Add(lifetime), now, ends(r.Candidates))
}

// revocationUnknown reports whether a certificate passed though it is unknown
// that it is not revoked: the configuration may tolerate that.
func (r Result) revocationUnknown() bool {
	return slices.ContainsFunc(r.Candidates, func(c Candidate) bool {
		return c.Verdict.Result == certs.Pass && c.Verdict.Revocation == "unknown"
	})
}

func beginnings(candidates []Candidate) []time.Time {
	var dates []time.Time
	for _, c := range candidates {
		dates = append(dates, c.Certificate.NotBefore)
	}
	return dates
}

func ends(candidates []Candidate) []time.Time {
	var dates []time.Time
	for _, c := range candidates {
		if c.Verdict.Result != certs.Pass {
			continue
		}
		dates = append(dates, c.Certificate.NotAfter, c.Verdict.Until)
		for _, issuer := range c.Verdict.Chain {
			dates = append(dates, issuer.NotAfter)
		}
	}
	return dates
}

// earliest returns the first of limit and those dates that lie after now.
func earliest(limit, now time.Time, dates []time.Time) time.Time {
	for _, date := range dates {
		if date.After(now) && date.Before(limit) {
			limit = date
		}
	}
	return limit
}

// Version changes when a source knows that its answers may have, and when all is
// to be forgotten.
func (d *Directory) Version() uint64 {
	sum := d.flushes.Load()
	for _, s := range d.sources {
		sum += s.Version()
	}
	return sum
}

// versionFor changes when a source knows that its answers about addr may have; nil
// is not known, or no better than version.
func (d *Directory) versionFor(ctx context.Context, addr address.Address) *uint64 {
	sum, better := d.flushes.Load(), false
	for _, s := range d.sources {
		n, ok, err := s.VersionFor(ctx, addr)
		switch {
		case err != nil:
			return nil
		case ok:
			sum, better = mix(sum, n), true
		default:
			sum = mix(sum, s.Version())
		}
	}
	if !better {
		return nil
	}
	return &sum
}

// mix combines numbers that may grow and fall, so that changes do not cancel.
func mix(sum, n uint64) uint64 { return (sum ^ n) * 1099511628211 }

// stale returns the outcome remembered for key in place of unknown if a source
// did not answer, the configuration allows it, and its certificates still pass
// today.
func (d *Directory) stale(ctx context.Context, key string, addr address.Address, unknown Result) Result {
	e, ok := d.cache.get(key)
	if !ok || e.result.Outcome != Usable || !unknown.unanswered() || e.version != d.Version() && !d.sameFor(ctx, e, addr) ||
		d.cfg.StaleIfError <= 0 || !d.cfg.Clock().Before(e.expires.Add(d.cfg.StaleIfError)) {
		return unknown
	}
	old := Result{Answers: slices.Clone(unknown.Answers)}
	for _, c := range e.result.Candidates {
		verdict := d.cfg.Checker.Check(ctx, c.Certificate, certs.Request{
			Purpose:       certs.ForEncryption,
			Addresses:     []address.Address{addr},
			Intermediates: c.Verdict.Chain,
		})
		c.Verdict = verdict
		old.Candidates = append(old.Candidates, c)
	}
	old.Certificates = passing(old.Candidates)
	if len(old.Certificates) == 0 {
		return unknown
	}
	age := d.cfg.Clock().Sub(e.stored).Round(time.Second)
	old.Answers = append(old.Answers, Answer{
		Source: "cache",
		Found:  len(old.Candidates),
		Cached: true,
		Notes:  []string{fmt.Sprintf("cached for %s, used because a source is unavailable", age)},
	})
	old.Outcome = Usable
	return old
}
