package directory

import (
	"context"
	"crypto/x509"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime/address"
)

func TestOutcomesAreRememberedForTheirTime(t *testing.T) {
	t.Parallel()
	cert := issue(t, bob, 0)
	for name, c := range map[string]struct {
		source *fakeSource
		time   time.Duration // for how long no second call is made
	}{
		"usable":                  {&fakeSource{list: []*x509.Certificate{cert}}, time.Hour},
		"none":                    {&fakeSource{}, time.Minute},
		"unknown":                 {&fakeSource{err: errDown}, 0},
		"usable, and an error":    {&fakeSource{list: []*x509.Certificate{cert}, err: errDown}, time.Minute},
		"ends before its time":    {&fakeSource{list: []*x509.Certificate{issue(t, bob, 365*24*time.Hour-10*time.Minute)}}, 10 * time.Minute},
		"refused, not yet begun":  {&fakeSource{list: []*x509.Certificate{issue(t, bob, -30*time.Second)}}, 30 * time.Second},
		"refused, begins another": {&fakeSource{list: []*x509.Certificate{issue(t, bob, -time.Hour)}}, time.Minute},
	} {
		clock, checker := newFakeClock(), &fakeChecker{}
		if len(c.source.list) > 0 && c.source.list[0].NotBefore.After(time.Now()) {
			checker.refuse(c.source.list[0], certs.Fail, certs.NotYetValid)
		}
		d := open(t, Config{
			Sources: sources(c.source), Checker: checker, Clock: clock.Now,
			Positive: time.Hour, Negative: time.Minute,
		})
		d.Lookup(t.Context(), addr(t, bob))
		const slack = 2 * time.Second // certificates have whole seconds
		if c.time > 0 {
			clock.advance(c.time - slack)
			if r := d.Lookup(t.Context(), addr(t, "BOB@Example.NET")); c.source.calls.Load() != 1 || !r.Answers[0].Cached {
				t.Errorf("%s: forgotten too early", name)
			}
			clock.advance(slack)
		}
		if r := d.Lookup(t.Context(), addr(t, bob)); c.source.calls.Load() != 2 || r.Answers[0].Cached {
			t.Errorf("%s: remembered too long", name)
		}
	}
}

func TestPassIsNotRememberedPastItsRevocationAnswer(t *testing.T) {
	t.Parallel()
	cert := issue(t, bob, 0)
	clock := newFakeClock()
	for name, verdict := range map[string]certs.Verdict{
		"ends":    {Result: certs.Pass, Revocation: "good", Until: clock.Now().Add(time.Minute)},
		"unknown": {Result: certs.Pass, Revocation: "unknown"},
	} {
		clock := &fakeClock{now: clock.Now()}
		checker := &fakeChecker{verdicts: map[string]certs.Verdict{string(cert.Raw): verdict}}
		s := &fakeSource{list: []*x509.Certificate{cert}}
		d := open(t, Config{Sources: sources(s), Checker: checker, Clock: clock.Now, Negative: time.Minute})
		d.Lookup(t.Context(), addr(t, bob))
		clock.advance(time.Minute)
		if d.Lookup(t.Context(), addr(t, bob)); s.calls.Load() != 2 {
			t.Errorf("%s: remembered too long", name)
		}
	}
}

func TestExactLocalPartsAreRememberedApart(t *testing.T) {
	t.Parallel()
	s := &fakeSource{}
	d := open(t, Config{Sources: sources(s), LocalPart: address.ExactCase})
	d.Lookup(t.Context(), addr(t, bob))
	d.Lookup(t.Context(), addr(t, "Bob@example.net"))
	if n := s.calls.Load(); n != 2 {
		t.Errorf("%d calls", n)
	}
}

func TestFreshAndFlushPassTheCacheBy(t *testing.T) {
	t.Parallel()
	s := &fakeSource{}
	d := open(t, Config{Sources: sources(s)})
	d.Lookup(t.Context(), addr(t, bob))
	d.LookupFresh(t.Context(), addr(t, bob))
	d.Flush()
	d.Lookup(t.Context(), addr(t, bob))
	if n := s.calls.Load(); n != 3 {
		t.Errorf("%d calls", n)
	}
}

func TestLookupUnderWayAtAFlushIsNotRemembered(t *testing.T) {
	t.Parallel()
	s := &fakeSource{hold: make(chan struct{}), entered: make(chan struct{}, 2)}
	d := open(t, Config{Sources: sources(s)})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	d.Lookup(gone, addr(t, bob)) // it goes on without us
	<-s.entered
	d.Flush()
	close(s.hold)
	d.Lookup(t.Context(), addr(t, bob)) // with the one under way, or after it
	d.Lookup(t.Context(), addr(t, bob))
	if n := s.calls.Load(); n != 2 {
		t.Errorf("%d calls", n)
	}
}

func TestCacheIsBoundedAndKeepsTheRecent(t *testing.T) {
	t.Parallel()
	s := &fakeSource{}
	d := open(t, Config{Sources: sources(s), Entries: 10})
	first := addr(t, "0@example.net")
	for i := range 100 {
		d.Lookup(t.Context(), addr(t, fmt.Sprintf("%d@example.net", i)))
		d.Lookup(t.Context(), first)
	}
	if n := d.cache.Len(); n != 10 {
		t.Errorf("%d entries", n)
	}
	if n := s.calls.Load(); n != 100 {
		t.Errorf("%d calls: the one in use was thrown out", n)
	}
}

func TestStaleServesOnlyWhereAllowedAndStillGood(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stale time.Duration
		after time.Duration
		event func(s *changing, checker *fakeChecker)
		want  Outcome
	}{
		"off":                    {0, 2 * time.Hour, down, Unknown},
		"off, asked afresh":      {0, 0, down, Unknown},
		"allowed":                {2 * time.Hour, 2 * time.Hour, down, Usable},
		"allowed, asked afresh":  {2 * time.Hour, 0, down, Usable},
		"too old":                {30 * time.Minute, 2 * time.Hour, down, Unknown},
		"revoked since":          {2 * time.Hour, 2 * time.Hour, revoked, Unknown},
		"another source changed": {2 * time.Hour, 2 * time.Hour, changed, Unknown},
		"all answered":           {2 * time.Hour, 2 * time.Hour, doubtful, Unknown},
	} {
		clock, checker := newFakeClock(), &fakeChecker{}
		s := &changing{fakeSource: fakeSource{name: "s", list: []*x509.Certificate{issue(t, bob, 0)}}}
		d := open(t, Config{
			Sources: sources(s), Checker: checker, Clock: clock.Now,
			Positive: time.Hour, StaleIfError: c.stale,
		})
		d.Lookup(t.Context(), addr(t, bob))
		clock.advance(c.after)
		c.event(s, checker)
		r := d.LookupFresh(t.Context(), addr(t, bob))
		if r.Outcome != c.want || (len(r.Certificates) > 0) != (c.want == Usable) {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// What happens to a source between two lookups.

func down(s *changing, _ *fakeChecker) { s.list, s.err = nil, errDown }

func revoked(s *changing, checker *fakeChecker) {
	checker.refuse(s.list[0], certs.Fail, certs.Revoked)
	s.err = errDown
}

func changed(s *changing, checker *fakeChecker) {
	down(s, checker)
	s.version.Add(1)
}

// doubtful has the source answer with another certificate that cannot be judged
// now: the one that it has no more must not be used.
func doubtful(s *changing, checker *fakeChecker) {
	s.list = []*x509.Certificate{testCA().Certificate, {Raw: []byte("other"), NotAfter: time.Now()}}
	checker.refuse(s.list[1], certs.TempError, certs.RevocationUnknown)
}

type changing struct {
	fakeSource
	version atomic.Uint64
}

func (c *changing) Version() uint64 { return c.version.Load() }

func TestChangedSourceIsAskedAgain(t *testing.T) {
	t.Parallel()
	s := &changing{}
	d := open(t, Config{Sources: sources(s)})
	d.Lookup(t.Context(), addr(t, bob))
	d.Lookup(t.Context(), addr(t, bob))
	s.version.Add(1)
	d.Lookup(t.Context(), addr(t, bob))
	if n := s.calls.Load(); n != 2 {
		t.Errorf("%d calls", n)
	}
}

func BenchmarkCached(b *testing.B) {
	s := &fakeSource{list: []*x509.Certificate{issue(b, bob, 0)}}
	d := open(b, Config{Sources: sources(s)})
	a := addr(b, bob)
	for b.Loop() {
		if d.Lookup(b.Context(), a).Outcome != Usable {
			b.Fatal("not usable")
		}
	}
}
