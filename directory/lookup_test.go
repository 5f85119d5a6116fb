package directory

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/background"
	"github.com/smimerelay/smimerelay/smime/address"
)

const bob = "bob@example.net"

func TestOutcomeIsOneOfThree(t *testing.T) {
	t.Parallel()
	good, bad, maybe := issue(t, bob, 0), issue(t, bob, 0), issue(t, bob, 0)
	checker := &fakeChecker{}
	checker.refuse(bad, certs.Fail, certs.Untrusted)
	checker.refuse(maybe, certs.TempError, certs.RevocationUnknown)
	has := func(list ...*x509.Certificate) *fakeSource { return &fakeSource{name: "s", list: list} }
	down := func(list ...*x509.Certificate) *fakeSource { return &fakeSource{name: "d", list: list, err: errDown} }
	for name, c := range map[string]struct {
		sources []Source
		want    Outcome
	}{
		"no source":                 {nil, None},
		"nothing found":             {[]Source{has()}, None},
		"good":                      {[]Source{has(good)}, Usable},
		"good beside refused":       {[]Source{has(bad, maybe, good)}, Usable},
		"refused":                   {[]Source{has(bad)}, None},
		"policy does not know":      {[]Source{has(bad, maybe)}, Unknown},
		"no answer":                 {[]Source{down()}, Unknown},
		"no answer and none":        {[]Source{down(), has()}, Unknown},
		"none and no answer":        {[]Source{has(), down()}, Unknown},
		"no answer and refused":     {[]Source{down(), has(bad)}, Unknown},
		"no answer and good":        {[]Source{down(), has(good)}, Usable},
		"half an answer, good":      {[]Source{down(good)}, Usable},
		"half an answer, refused":   {[]Source{down(bad)}, Unknown},
		"refused, then good behind": {[]Source{has(bad), has(good)}, Usable},
	} {
		d := open(t, Config{Sources: sources(c.sources...), Checker: checker})
		if got := d.Lookup(t.Context(), addr(t, bob)); got.Outcome != c.want {
			t.Errorf("%s: %s, want %s", name, got.Outcome, c.want)
		}
	}
}

func TestNullAddressHasNoCertificate(t *testing.T) {
	t.Parallel()
	s := &fakeSource{name: "s", list: []*x509.Certificate{issue(t, bob, 0)}}
	d := open(t, Config{Sources: sources(s)})
	if r := d.Lookup(t.Context(), address.Null); r.Outcome != None || s.calls.Load() != 0 {
		t.Errorf("got %+v after %d calls", r, s.calls.Load())
	}
}

func TestCheckerIsAskedForEncryptionToTheRecipient(t *testing.T) {
	t.Parallel()
	checker := &fakeChecker{}
	leaf, authority := issue(t, bob, 0), testCA().Certificate
	s := &fakeSource{name: "s", list: []*x509.Certificate{authority, leaf}}
	d := open(t, Config{Sources: sources(s), Checker: checker})
	r := d.Lookup(t.Context(), addr(t, bob))
	if len(checker.requests) != 1 {
		t.Fatalf("%d requests, want only that for the leaf", len(checker.requests))
	}
	q := checker.requests[0]
	if q.Purpose != certs.ForEncryption || len(q.Addresses) != 1 || q.Addresses[0] != addr(t, bob) {
		t.Errorf("asked %+v", q)
	}
	if len(q.Intermediates) != 1 || !q.Intermediates[0].Equal(authority) {
		t.Errorf("the authority's certificate is no hint: %v", q.Intermediates)
	}
	if len(r.Certificates) != 1 || !r.Certificates[0].Equal(leaf) {
		t.Errorf("offered %v", r.Certificates)
	}
}

func TestFirstUsableStopsUnlessMerged(t *testing.T) {
	t.Parallel()
	for _, merge := range []bool{false, true} {
		a := &fakeSource{name: "a", list: []*x509.Certificate{issue(t, bob, time.Hour)}}
		b := &fakeSource{name: "b", list: []*x509.Certificate{a.list[0], issue(t, bob, 0)}}
		cfg := Config{Sources: sources(a, b)}
		cfg.Sources[0].Merge = merge
		r := open(t, cfg).Lookup(t.Context(), addr(t, bob))
		want := 1
		if merge {
			want = 2 // and the one that both have only once
		}
		if len(r.Certificates) != want || len(r.Answers) != want || len(r.Candidates) != want {
			t.Errorf("merge %v: %+v", merge, r)
		}
		if !r.Certificates[0].Equal(a.list[0]) {
			t.Errorf("merge %v: the first source is not preferred", merge)
		}
	}
}

func TestYoungestCertificateFirst(t *testing.T) {
	t.Parallel()
	old, young, middle := issue(t, bob, 3*time.Hour), issue(t, bob, time.Hour), issue(t, bob, 2*time.Hour)
	s := &fakeSource{name: "s", list: []*x509.Certificate{old, young, middle}}
	r := open(t, Config{Sources: sources(s)}).Lookup(t.Context(), addr(t, bob))
	if !slices.EqualFunc(r.Certificates, []*x509.Certificate{young, middle, old}, (*x509.Certificate).Equal) {
		t.Errorf("got %v", r.Certificates)
	}
}

func TestOnlySourcesOfTheDomainAreAsked(t *testing.T) {
	t.Parallel()
	public := &fakeSource{name: "public"}
	cfg := Config{Sources: sources(public)}
	cfg.Sources[0].Domains = []string{"Partner.Example", ".sub.example", "müller.example"}
	d := open(t, cfg)
	for a, asked := range map[string]bool{
		"x@partner.example":           true,
		"x@PARTNER.example":           true,
		"x@a.partner.example":         false,
		"x@sub.example":               false,
		"x@a.sub.example":             true,
		"x@b.a.sub.example":           true,
		"x@asub.example":              false,
		"x@xn--mller-kva.example":     true,
		"x@müller.example":            true,
		"x@partner.example.evil.test": false,
	} {
		r := d.LookupFresh(t.Context(), addr(t, a))
		if got := len(r.Answers) > 0; got != asked {
			t.Errorf("%s: asked %v, want %v", a, got, asked)
		}
	}
}

func TestConcurrentLookupsAreOne(t *testing.T) {
	t.Parallel()
	s := &fakeSource{name: "s", hold: make(chan struct{})}
	d := open(t, Config{Sources: sources(s)})
	const callers = 50
	results := make(chan Result, callers)
	for range callers {
		go func() { results <- d.Lookup(context.Background(), addr(t, bob)) }()
	}
	close(s.hold)
	for range callers {
		if r := <-results; r.Outcome != None {
			t.Errorf("got %+v", r)
		}
	}
	if n := s.calls.Load(); n != 1 {
		t.Errorf("%d calls", n)
	}
}

func TestCallerMayGiveUp(t *testing.T) {
	t.Parallel()
	s := &fakeSource{name: "s", hold: make(chan struct{})}
	d := open(t, Config{Sources: sources(s)})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := d.Lookup(ctx, addr(t, bob))
	if r.Outcome != Unknown || !errors.Is(r.Answers[0].Err, context.Canceled) {
		t.Errorf("got %+v", r)
	}
	close(s.hold)
	if r := d.Lookup(t.Context(), addr(t, bob)); r.Outcome != None || s.calls.Load() != 1 {
		t.Errorf("the lookup did not go on: %+v after %d calls", r, s.calls.Load())
	}
}

func TestCloseEndsLookups(t *testing.T) {
	t.Parallel()
	s := &fakeSource{name: "s", hold: make(chan struct{})}
	d := New(Config{Sources: sources(s), Checker: &fakeChecker{}, Log: slog.New(slog.DiscardHandler)})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	d.Lookup(gone, addr(t, bob))
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if r := d.Lookup(t.Context(), addr(t, bob)); r.Outcome != Unknown || !errors.Is(r.Answers[0].Err, background.ErrClosed) {
		t.Errorf("got %+v", r)
	}
}

func TestTimeoutIsUnknown(t *testing.T) {
	t.Parallel()
	s := &fakeSource{name: "s", hold: make(chan struct{})}
	d := open(t, Config{Sources: sources(s), Timeout: time.Millisecond})
	if r := d.Lookup(t.Context(), addr(t, bob)); r.Outcome != Unknown {
		t.Errorf("got %+v", r)
	}
}

type panicking struct{ fakeSource }

func (*panicking) Find(context.Context, address.Address) (Finding, error) {
	panic("hostile bytes")
}

func TestPanicIsUnknown(t *testing.T) {
	t.Parallel()
	d := open(t, Config{Sources: sources(&panicking{})})
	var seen []Outcome
	d.Observe(func(r Result) { seen = append(seen, r.Outcome) })
	if r := d.Lookup(t.Context(), addr(t, bob)); r.Outcome != Unknown {
		t.Errorf("got %+v", r)
	}
	if !slices.Equal(seen, []Outcome{Unknown}) {
		t.Errorf("the observer saw %q", seen)
	}
}

func TestObserverSeesSearchesAndWhatIsRemembered(t *testing.T) {
	t.Parallel()
	d := open(t, Config{Sources: sources(&fakeSource{name: "s"})})
	var cached []bool
	d.Observe(func(r Result) { cached = append(cached, r.Answers[0].Cached) })
	for range 3 {
		d.Lookup(t.Context(), addr(t, bob))
	}
	if !slices.Equal(cached, []bool{false, true, true}) {
		t.Errorf("got %v", cached)
	}
}
