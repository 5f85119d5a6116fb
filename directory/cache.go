package directory

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/cache"
	"github.com/smimerelay/smimerelay/smime/address"
)

// entry is a remembered outcome; it is not changed.
type entry struct {
	cache.Timed[Result]
	// own is the version for this address; nil is not known.
	own *uint64
}

// cached returns the outcome remembered for key if it still counts and nothing at
// all has changed since.
func (d *Directory) cached(key string) (Result, bool) {
	e, ok := d.cache.Get(key)
	if !ok || !e.Current(d.cfg.Clock(), d.Version()) {
		return Result{}, false
	}
	return e.Value, true
}

// unchanged returns the outcome remembered for key if it still counts, though
// something has changed: the answers about other addresses. So it takes more than
// each new certificate in the store to empty the cache.
func (d *Directory) unchanged(ctx context.Context, key string, addr address.Address) (Result, bool) {
	e, ok := d.cache.Get(key)
	if !ok || !d.cfg.Clock().Before(e.Expires) {
		return Result{}, false
	}
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Timeout)
	defer cancel()
	version := d.Version()
	if !d.sameFor(ctx, e, addr) {
		return Result{}, false
	}
	d.confirm(key, e, version)
	return e.Value, true
}

// sameFor reports whether it is certain that the answers about addr have not
// changed since e was remembered.
func (d *Directory) sameFor(ctx context.Context, e *entry, addr address.Address) bool {
	if e.own == nil {
		return false
	}
	own := d.versionFor(ctx, addr)
	return own != nil && *own == *e.own
}

// confirm notes that an entry counts for a version too, unless another has taken
// its place.
func (d *Directory) confirm(key string, e *entry, version uint64) {
	confirmed := *e
	confirmed.Generation = version
	d.cache.Change(key, func(now *entry, _ bool) (*entry, bool) { return &confirmed, now == e })
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
	d.cache.Put(key, &entry{cache.Timed[Result]{Value: r, Stored: now, Expires: expires, Generation: version}, own})
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
	e, ok := d.cache.Get(key)
	if !ok || e.Value.Outcome != Usable || !unknown.unanswered() || e.Generation != d.Version() && !d.sameFor(ctx, e, addr) ||
		d.cfg.StaleIfError <= 0 || !d.cfg.Clock().Before(e.Expires.Add(d.cfg.StaleIfError)) {
		return unknown
	}
	old := Result{Answers: slices.Clone(unknown.Answers)}
	for _, c := range e.Value.Candidates {
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
	age := d.cfg.Clock().Sub(e.Stored).Round(time.Second)
	old.Answers = append(old.Answers, Answer{
		Source: "cache",
		Found:  len(old.Candidates),
		Cached: true,
		Notes:  []string{fmt.Sprintf("cached for %s, used because a source is unavailable", age)},
	})
	old.Outcome = Usable
	return old
}
