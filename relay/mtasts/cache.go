package mtasts

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/smimerelay/smimerelay/internal/dns"
	"github.com/smimerelay/smimerelay/internal/filesystem"
)

// Config says how to find policies.
type Config struct {
	// Lookup finds the records of domains; *dns.Lookup is one.
	Lookup interface {
		TXT(ctx context.Context, name string) ([]string, error)
	}
	// Folder keeps policies across restarts, so that an attacker gains nothing by one; ""
	// keeps them in memory.
	Folder string
	// Fetch gets the policy of a domain, as Web.Fetch does.
	Fetch func(ctx context.Context, domain string) (string, error)
	// Before is the cache in use, whose policies count on; nil at the start.
	Before *Cache
	// Clock is time.Now where nil.
	Clock func() time.Time
}

// Cache finds policies and keeps them for as long as they count. It is safe for
// concurrent use.
type Cache struct {
	config Config

	mu      sync.Mutex
	entries map[string]*entry
}

// entry is a policy that was fetched, or that could not be.
type entry struct {
	ID      string    `json:"id"`
	Policy  Policy    `json:"policy"`
	Fetched time.Time `json:"fetched"`

	mu      sync.Mutex // one fetch at a time
	loaded  bool       // from the folder
	tried   time.Time  // the last fetch that failed
	triedID string
}

const (
	// refreshAfter is when a policy is fetched again although its id is the same, so that it
	// does not end while the domain keeps it (RFC 8461 section 3.3).
	refreshAfter = 24 * time.Hour
	// retryAfter is when a fetch that failed is tried again (the same section).
	retryAfter = 5 * time.Minute
	// maxEntries bounds the memory: what is in the folder is read again.
	maxEntries = 10_000
)

// New returns a cache.
func New(c Config) *Cache {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	cache := &Cache{config: c, entries: map[string]*entry{}}
	if before := c.Before; before != nil {
		cache.config.Before = nil // it would keep all those before it
		before.mu.Lock()
		defer before.mu.Unlock()
		maps.Copy(cache.entries, before.entries)
	}
	return cache
}

// Found is what is known of the policy of a domain.
type Found struct {
	// Policy counts; nil if the domain has none.
	Policy *Policy
	// Err says why a policy that the domain announces could not be had. If Policy is not
	// nil, it is an older one that still counts.
	Err error
}

// Find returns the policy of a domain (RFC 8461 section 3.3). A policy that was found
// before counts until its time is over, whatever DNS says now: who can suppress the
// record must not be able to suppress the policy.
func (c *Cache) Find(ctx context.Context, domain string) Found {
	e := c.entry(domain)
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.loaded {
		e.loaded = true
		c.load(domain, e)
	}
	now := c.config.Clock()
	records, err := c.config.Lookup.TXT(ctx, "_mta-sts."+domain)
	if errors.Is(err, dns.ErrNoName) {
		err = nil
	}
	id, ok := recordID(records)
	if err != nil || !ok {
		return Found{Policy: e.current(now), Err: err}
	}
	if e.counts(now) && id == e.ID && now.Sub(e.Fetched) < refreshAfter {
		return Found{Policy: e.current(now)}
	}
	if id == e.triedID && now.Sub(e.tried) < retryAfter {
		return Found{Policy: e.current(now), Err: errTried}
	}
	err = c.refresh(ctx, domain, id, e)
	return Found{Policy: e.current(now), Err: err}
}

var errTried = errors.New("the policy could not be fetched a short time ago")

func (c *Cache) refresh(ctx context.Context, domain, id string, e *entry) error {
	text, err := c.config.Fetch(ctx, domain)
	var p Policy
	if err == nil {
		p, err = parsePolicy(text)
		if err != nil {
			err = &InvalidError{err}
		}
	}
	if err != nil {
		if ctx.Err() == nil {
			e.tried, e.triedID = c.config.Clock(), id
		}
		return err
	}
	e.ID, e.Policy, e.Fetched, e.triedID = id, p, c.config.Clock(), ""
	return c.save(domain, e)
}

// InvalidError is of a policy that was fetched and cannot be read.
type InvalidError struct{ error }

// Unwrap returns what is wrong with it.
func (e *InvalidError) Unwrap() error { return e.error }

func (e *entry) counts(now time.Time) bool {
	return e.ID != "" && now.Sub(e.Fetched) < e.Policy.MaxAge
}

// current is the policy while it counts, unless it is the policy to have none.
func (e *entry) current(now time.Time) *Policy {
	if !e.counts(now) || e.Policy.Mode == None {
		return nil
	}
	p := e.Policy
	return &p
}

func (c *Cache) entry(domain string) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[domain]
	if e == nil {
		if len(c.entries) >= maxEntries {
			c.drop()
		}
		e = &entry{}
		c.entries[domain] = e
	}
	return e
}

// drop makes room. Without a folder, policies that count stay: who makes us look up many
// domains must not make us forget them.
func (c *Cache) drop() {
	now := c.config.Clock()
	for domain, e := range c.entries {
		if !e.mu.TryLock() {
			continue
		}
		if c.config.Folder != "" || e.current(now) == nil {
			delete(c.entries, domain)
		}
		e.mu.Unlock()
	}
}

// file is where the policy of a domain is kept. A domain is A-labels: letters, digits,
// hyphens and dots.
func (c *Cache) file(domain string) string { return filepath.Join(c.config.Folder, domain+".json") }

func (c *Cache) load(domain string, e *entry) {
	if c.config.Folder == "" {
		return
	}
	data, err := os.ReadFile(c.file(domain))
	if err != nil {
		return // none is kept: it is fetched
	}
	var kept entry
	if json.Unmarshal(data, &kept) == nil && isID(kept.ID) {
		e.ID, e.Policy, e.Fetched = kept.ID, kept.Policy, kept.Fetched
	}
}

func (c *Cache) save(domain string, e *entry) error {
	if c.config.Folder == "" {
		return nil
	}
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.config.Folder, 0o700); err != nil {
		return err
	}
	return filesystem.Replace(c.file(domain), filesystem.Content(data))
}
