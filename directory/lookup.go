package directory

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/background"
	"github.com/smimerelay/smimerelay/internal/cache"
	"github.com/smimerelay/smimerelay/internal/guard"
	"github.com/smimerelay/smimerelay/internal/tracing"
	"github.com/smimerelay/smimerelay/smime/address"
)

// SourceConfig is one source with the mail domains it is asked about.
type SourceConfig struct {
	Source Source
	// Domains are "example.com" (exactly it) or ".example.com" (what is below
	// it). Empty: all. Asking a public directory about every correspondent
	// tells it who they are.
	Domains []string
	// Merge makes the lookup go on to the next source even when this one had a
	// usable certificate.
	Merge bool
}

// Config is what New needs. Zero durations and sizes take the defaults below.
type Config struct {
	Sources []SourceConfig
	// Checker judges each certificate before it is offered.
	Checker certs.Checker
	// Capabilities tells which ciphers the owners of usable certificates read,
	// whatever source had the certificate; nil: only what the sources say.
	Capabilities Capabilities
	// Positive and Negative are how long the outcomes usable and none are
	// remembered at most; below zero: not at all. Unknown never is.
	Positive, Negative time.Duration
	// StaleIfError is for how long after its end a remembered usable outcome
	// still serves when the sources do not answer. Zero: not at all.
	StaleIfError time.Duration
	// Entries bounds the cache.
	Entries int
	// Timeout bounds one lookup through all sources.
	Timeout time.Duration
	// LocalPart is the rule by which two addresses are the same mailbox.
	LocalPart address.LocalPart
	// Delimiters separate a mailbox from an extension (address.WithoutExtension);
	// "" is none.
	Delimiters string
	// Clock is time.Now unless set.
	Clock func() time.Time
	// Log receives the notes of the sources; slog.Default unless set.
	Log *slog.Logger
}

// Defaults of Config.
const (
	defaultPositive = time.Hour
	defaultNegative = 5 * time.Minute
	defaultEntries  = 10_000
	defaultTimeout  = 10 * time.Second
)

// Directory asks its sources in order and remembers the outcomes. It may be used
// by many goroutines at once.
type Directory struct {
	cfg     Config
	sources []source
	cache   *cache.Cache[string, *entry]
	lookups *background.Group[Result]
	groups  groupMemory

	// background runs the lookups: they go on for those who ask next.
	background *background.Runner

	observer atomic.Pointer[func(Result)]
	flushes  atomic.Uint64
}

// source is a SourceConfig made ready.
type source struct {
	Source
	domains domains
	merge   bool
}

// New returns a Directory. Close it when it is no longer used.
func New(cfg Config) *Directory {
	setDefault(&cfg.Positive, defaultPositive)
	setDefault(&cfg.Negative, defaultNegative)
	setDefault(&cfg.Entries, defaultEntries)
	setDefault(&cfg.Timeout, defaultTimeout)
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	d := &Directory{cfg: cfg, cache: cache.New[string, *entry](cfg.Entries, nil)}
	// What a server sent must not be able to end the process.
	d.background = background.New(cfg.Log, "directory lookup")
	d.lookups = background.NewGroup[Result](d.background)
	d.groups = newGroupMemory(d)
	for _, s := range cfg.Sources {
		d.sources = append(d.sources, source{Source: s.Source, domains: newDomains(s.Domains), merge: s.Merge})
	}
	return d
}

func setDefault[T ~int | ~int64](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

// Lookup returns what is known of the certificates of addr. When ctx ends first
// the outcome is Unknown, and the lookup goes on for those who ask next.
func (d *Directory) Lookup(ctx context.Context, addr address.Address) Result {
	return d.lookupMailbox(ctx, addr, false)
}

// LookupFresh is Lookup without the cache; its outcome is remembered.
func (d *Directory) LookupFresh(ctx context.Context, addr address.Address) Result {
	return d.lookupMailbox(ctx, addr, true)
}

// lookupMailbox looks for the full address first. Only when it is certain that
// there is nothing for it, the mailbox without the extension serves.
func (d *Directory) lookupMailbox(ctx context.Context, addr address.Address, fresh bool) Result {
	r := d.lookup(ctx, addr, fresh)
	mailbox, ok := addr.WithoutExtension(d.cfg.Delimiters)
	if !ok || !r.asksMailbox() {
		return r
	}
	return r.or(d.lookup(ctx, mailbox, fresh))
}

// Remembers implements Finder. It asks no source, and is no lookup to those who count them.
func (d *Directory) Remembers(addr address.Address) bool {
	r, ok := d.cached(addr.Key(d.cfg.LocalPart))
	mailbox, extended := addr.WithoutExtension(d.cfg.Delimiters)
	if !ok || !extended || !r.asksMailbox() {
		return ok
	}
	_, ok = d.cached(mailbox.Key(d.cfg.LocalPart))
	return ok
}

// asksMailbox reports whether it is certain that there is nothing for an address, so that its
// mailbox without the extension may serve.
func (r *Result) asksMailbox() bool { return r.Outcome == None && r.Group == "" }

// Observe has f called with the result of every search, and with every result
// that is remembered when it is asked for: its answers are all Cached.
func (d *Directory) Observe(f func(Result)) { d.observer.Store(&f) }

func (d *Directory) observe(r Result) {
	if f := d.observer.Load(); f != nil {
		(*f)(r)
	}
}

// Flush forgets all remembered outcomes. What a lookup under way finds is not
// remembered either: it may have been asked before what the caller knows of.
func (d *Directory) Flush() {
	d.flushes.Add(1)
	d.cache.Clear()
}

// Close ends the lookups under way, waits for them, and closes the sources that
// can be closed. Lookups after it are Unknown.
func (d *Directory) Close() error {
	d.background.Close()
	var errs []error
	for _, s := range d.sources {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

func (d *Directory) lookup(ctx context.Context, addr address.Address, fresh bool) Result {
	if addr.IsNull() {
		return Result{Outcome: None}
	}
	key := addr.Key(d.cfg.LocalPart)
	if !fresh {
		r, ok := d.cached(key)
		if !ok {
			r, ok = d.unchanged(ctx, key, addr)
		}
		if ok {
			d.observe(r)
			return r
		}
	}
	asking := ctx
	r, err := d.lookups.Do(ctx, key, func(ctx context.Context) (Result, error) {
		if r, ok := d.cached(key); ok && !fresh {
			return r, nil
		}
		ctx, cancel := context.WithTimeout(tracing.Continue(ctx, asking), d.cfg.Timeout)
		defer cancel()
		return d.find(ctx, key, addr), nil
	})
	if err != nil {
		r = failed(err)
	}
	return r
}

// failed is the outcome of a lookup that no source was part of.
func failed(err error) Result {
	return Result{Outcome: Unknown, Answers: []Answer{{Source: "lookup", Err: err}}}
}

// find finds an outcome out and remembers it.
func (d *Directory) find(ctx context.Context, key string, addr address.Address) Result {
	r := failed(guard.ErrPanic) // unless there is none
	defer func() { d.observe(r) }()
	version, own := d.Version(), d.versionFor(ctx, addr)
	r = d.search(ctx, addr)
	if r.Outcome == Unknown {
		r = d.stale(ctx, key, addr, r)
	} else {
		d.remember(key, version, own, r)
	}
	return r
}

// search asks the sources in order.
func (d *Directory) search(ctx context.Context, addr address.Address) Result {
	var r Result
	for _, s := range d.sources {
		if !s.domains.match(addr.Domain()) {
			continue
		}
		if d.ask(ctx, s, addr, &r) && !s.merge {
			break
		}
	}
	d.addCapabilities(ctx, addr, &r)
	r.Outcome = outcome(r)
	return r
}

// ask adds what one source says to r and reports whether a usable certificate
// was among it.
func (d *Directory) ask(ctx context.Context, s source, addr address.Address, r *Result) bool {
	ctx, span := tracing.Start(ctx, "lookup")
	span.Text("source", s.Name())
	start := d.cfg.Clock()
	found, err := s.Find(ctx, addr)
	total := len(found.Certificates)
	found = trimmed(found, start)
	err = errors.Join(err, d.addAliases(ctx, s, &found, addr))
	judged := r.additions(d.judge(ctx, addr, s.Name(), r.unjudged(found)))
	r.Candidates = append(r.Candidates, judged...)
	if found.Group && r.Group == "" {
		r.Group = s.Name()
	}
	usable := passing(judged)
	r.Certificates = append(r.Certificates, usable...)
	r.Answers = append(r.Answers, Answer{
		Source:  s.Name(),
		Found:   total,
		Err:     err,
		Elapsed: d.cfg.Clock().Sub(start),
		Notes:   found.Notes,
	})
	d.log(ctx, addr, s.Name(), found.Notes, err)
	span.End(err)
	return len(usable) > 0
}

func (d *Directory) log(ctx context.Context, addr address.Address, name string, notes []string, err error) {
	if err != nil {
		d.cfg.Log.WarnContext(ctx, "directory lookup failed", "source", name, "address", addr, "error", err)
	}
	for _, note := range notes {
		d.cfg.Log.WarnContext(ctx, "directory answer", "source", name, "address", addr, "note", note)
	}
}
