package revocation

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"time"

	"github.com/smimerelay/smimerelay/internal/background"
	"github.com/smimerelay/smimerelay/internal/webguard"
)

// FetchConfig says how to fetch what certificates name. The zero value fetches
// from the public Internet only.
type FetchConfig struct {
	// Timeout is for one fetch from the first name look-up to the last octet;
	// 0 is 10 seconds.
	Timeout time.Duration
	// Allowed are address ranges that may be asked though they are private.
	Allowed []netip.Prefix
	// Folder takes the indexes of large lists; "" is the one for temporary
	// files.
	Folder string
	// Cache is a folder that keeps what was fetched across restarts; "" keeps
	// nothing.
	Cache string
	// MaxList limits a revocation list in octets; 0 is 64 MiB.
	MaxList int64
	// Negative is how long a failure is remembered; 0 is 5 minutes.
	Negative time.Duration
	// Stale is how long after its end an answer still counts when no newer
	// one can be had; 0 is not at all.
	Stale time.Duration
	// Clock is time.Now where nil.
	Clock func() time.Time
	// Resolver is the host's where nil, and Dial connects to an address and
	// port; both are for tests.
	Resolver webguard.Resolver
	Dial     func(ctx context.Context, network, address string) (net.Conn, error)
}

// Limits of what is fetched.
const (
	defaultTimeout  = 10 * time.Second
	defaultMaxList  = 64 << 20
	defaultNegative = 5 * time.Minute
	maxSmall        = 64 << 10 // OCSP responses and issuers' certificates
	maxRedirects    = 3
	maxFetches      = 32 // at once

	// What is remembered, in numbers. A list may hold an open file.
	maxLists     = 512
	maxResponses = 16384
	maxIssuers   = 256
)

// Fetcher fetches revocation lists, OCSP responses and issuers' certificates
// from addresses that certificates name, and remembers them. It is the only code
// that does. Call it for chains that lead to a trust anchor only: strangers
// choose the addresses. It is safe for concurrent use.
type Fetcher struct {
	cfg       FetchConfig
	client    *http.Client
	lists     *fetched[*List]
	responses *fetched[*response]
	issuers   *fetched[[]byte]
	disk      disk

	background *background.Runner // runs the fetches: all who wait share them
	slots      chan struct{}      // holds a token for each fetch
}

// NewFetcher returns a fetcher. Close ends it. It fails where the cache's folder
// cannot be used.
func NewFetcher(cfg FetchConfig) (*Fetcher, error) {
	setDefaults(&cfg)
	kept, err := newDisk(cfg.Cache, cfg.Clock())
	if err != nil {
		return nil, err
	}
	g := &webguard.Guard{Resolver: cfg.Resolver, Allowed: cfg.Allowed, Dial: cfg.Dial}
	f := &Fetcher{cfg: cfg, disk: kept, slots: make(chan struct{}, maxFetches), background: background.New(nil, "fetch")}
	f.client = &http.Client{
		Transport: &http.Transport{
			DialContext:            g.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxSmall,
		},
		CheckRedirect: checkRedirect,
	}
	f.lists = newFetched[*List](f, maxLists)
	f.responses = newFetched[*response](f, maxResponses)
	f.issuers = newFetched[[]byte](f, maxIssuers)
	return f, nil
}

func setDefaults(cfg *FetchConfig) {
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.MaxList == 0 {
		cfg.MaxList = defaultMaxList
	}
	if cfg.Negative == 0 {
		cfg.Negative = defaultNegative
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
}

// Close stops all fetches and waits for their end. Later ones fail.
func (f *Fetcher) Close() { f.background.Close() }

func checkRedirect(r *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	return checkURL(r.URL)
}

// checkURL refuses what is not a plain web address. LDAP addresses are for the
// configured directories.
func checkURL(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("address %q: only http and https are fetched", u.Redacted())
	case u.User != nil:
		return fmt.Errorf("address %q: holds a user", u.Redacted())
	case u.Hostname() == "":
		return fmt.Errorf("address %q: no host", u.Redacted())
	}
	return nil
}

// do sends a request and hands the body, of at most limit octets, to read.
func (f *Fetcher) do(ctx context.Context, method, address, mediaType string, body []byte, limit int64, read func(io.Reader) error) error {
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	if err := checkURL(u); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, f.cfg.Timeout)
	defer cancel()
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	case <-ctx.Done():
		return errors.New("too many fetches at once")
	}
	r, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	if mediaType != "" {
		r.Header.Set("Content-Type", mediaType)
	}
	resp, err := f.client.Do(r)
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // it repeats whatever address the server has sent us to
	}
	if err != nil {
		return fmt.Errorf("%s %q: %w", method, address, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %q: %s", method, address, resp.Status)
	}
	if err := read(&capped{r: resp.Body, left: limit}); err != nil {
		return fmt.Errorf("%s %q: %w", method, address, err)
	}
	return nil
}

// folder is where the indexes of large lists go.
func (f *Fetcher) folder() string {
	if f.cfg.Folder == "" {
		return os.TempDir()
	}
	return f.cfg.Folder
}

// capped fails, and does not end, where there is more than may be.
type capped struct {
	r    io.Reader
	left int64
}

var errTooLong = errors.New("the answer is too long")

func (c *capped) Read(b []byte) (int, error) {
	if c.left < 0 {
		return 0, errTooLong
	}
	if int64(len(b)) > c.left+1 {
		b = b[:c.left+1]
	}
	n, err := c.r.Read(b)
	if c.left -= int64(n); c.left < 0 {
		return n, errTooLong
	}
	return n, err
}

// small fetches an answer that fits into memory.
func (f *Fetcher) small(ctx context.Context, method, address, mediaType string, body []byte) (data []byte, err error) {
	err = f.do(ctx, method, address, mediaType, body, maxSmall, func(r io.Reader) (err error) {
		data, err = io.ReadAll(r)
		return err
	})
	return data, err
}
