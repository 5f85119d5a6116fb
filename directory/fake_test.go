package directory

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
)

var errDown = errors.New("down")

// addr parses an address that the test knows to be one.
func addr(tb testing.TB, s string) address.Address {
	tb.Helper()
	a, err := address.Parse(s)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// testCA is one authority for all tests: making keys takes time.
var testCA = sync.OnceValue(func() *testpki.CA { return testpki.Must(testpki.NewCA(testpki.Options{})) })

// issue makes a certificate for address that begins so long before now.
func issue(tb testing.TB, address string, age time.Duration) *x509.Certificate {
	tb.Helper()
	id, err := testCA().Issue(testpki.Leaf{
		Addresses: []string{address},
		NotBefore: time.Now().Add(-age),
		NotAfter:  time.Now().Add(-age).Add(365 * 24 * time.Hour),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return id.Certificate
}

// fakeSource answers every address alike.
type fakeSource struct {
	Plain

	name  string
	list  []*x509.Certificate
	err   error
	calls atomic.Int64
	// hold, if set, is waited for before the answer.
	hold chan struct{}
	// entered, if set, is sent to when it is asked.
	entered chan struct{}
}

func (s *fakeSource) Name() string { return s.name }

func (s *fakeSource) Find(ctx context.Context, _ address.Address) (Finding, error) {
	s.calls.Add(1)
	if s.entered != nil {
		s.entered <- struct{}{}
	}
	if s.hold != nil {
		select {
		case <-s.hold:
		case <-ctx.Done():
			return Finding{}, ctx.Err()
		}
	}
	return Finding{Certificates: s.list}, s.err
}

// fakeChecker passes every certificate that it has no other verdict for.
type fakeChecker struct {
	mu       sync.Mutex
	verdicts map[string]certs.Verdict // by the raw certificate
	requests []certs.Request
}

func (c *fakeChecker) Check(_ context.Context, cert *x509.Certificate, r certs.Request) certs.Verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests = append(c.requests, r)
	if v, ok := c.verdicts[string(cert.Raw)]; ok {
		return v
	}
	return certs.Verdict{Result: certs.Pass}
}

func (c *fakeChecker) refuse(cert *x509.Certificate, result certs.Result, reason certs.Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.verdicts == nil {
		c.verdicts = make(map[string]certs.Verdict)
	}
	c.verdicts[string(cert.Raw)] = certs.Verdict{Result: result, Reason: reason}
}

// fakeClock is set by the test.
type fakeClock struct {
	mu  sync.Mutex
	now time.Time
}

func newFakeClock() *fakeClock { return &fakeClock{now: time.Now()} }

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// open returns a quiet Directory that is closed with the test.
func open(tb testing.TB, cfg Config) *Directory {
	tb.Helper()
	if cfg.Checker == nil {
		cfg.Checker = &fakeChecker{}
	}
	cfg.Log = slog.New(slog.DiscardHandler)
	d := New(cfg)
	tb.Cleanup(func() {
		if err := d.Close(); err != nil {
			tb.Error(err)
		}
	})
	return d
}

func sources(list ...Source) []SourceConfig {
	var configs []SourceConfig
	for _, s := range list {
		configs = append(configs, SourceConfig{Source: s})
	}
	return configs
}
