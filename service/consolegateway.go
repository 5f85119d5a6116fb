package service

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/certs/describe"
	"github.com/smimerelay/smimerelay/console/api"
	"github.com/smimerelay/smimerelay/history"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/relay/queue"
)

// consoleGateway is the service as the console sees it.
type consoleGateway struct {
	*Service
	past *openHistory
}

var _ api.Gateway = consoleGateway{}

// Ready implements api.Gateway.
func (g consoleGateway) Ready() error { return g.ready() }

// Queue implements api.Gateway.
func (g consoleGateway) Queue() *queue.Store {
	if q := g.openedQueue(); q != nil {
		return q.Store
	}
	return nil
}

// Directories implements api.Gateway.
func (g consoleGateway) Directories() []api.Directory { return g.sources.list() }

// Loaded implements api.Gateway.
func (g consoleGateway) Loaded() (at, failed time.Time) {
	if t := g.loaded.Load(); t != nil {
		at = *t
	}
	if t := g.refused.Load(); t != nil && t.After(at) {
		failed = *t
	}
	return at, failed
}

// History implements api.Gateway.
func (g consoleGateway) History(ctx context.Context) (*history.Store, error) {
	p, release := g.use()
	defer release()
	return g.past.get(ctx, p.Config)
}

// Use implements api.Gateway.
func (g consoleGateway) Use() (api.Parts, func()) {
	p, release := g.use()
	clock := g.options.Clock
	return api.Parts{
		Config: p.Config, Store: p.Store(), Checker: p.Validator, Directory: p.Directory, Gateway: p.Gateway,
		Expiring: func(ctx context.Context, within time.Duration) ([]api.Expiring, error) {
			if within == 0 {
				within = Within(p.Config)
			}
			h, err := p.Holdings(ctx, clock(), within)
			if err != nil {
				return nil, err
			}
			list := []api.Expiring{}
			for _, o := range h.Expiring {
				list = append(list, api.Expiring{
					SHA256: describe.Fingerprint(o.Certificate), Subject: pkix.SubjectString(o.Certificate),
					Addresses: describe.Texts(certs.Addresses(o.Certificate)), NotAfter: o.Certificate.NotAfter.UTC(), Place: o.Place, Authority: o.Authority,
				})
			}
			return list, nil
		},
		Revocation: p.revocation,
		Authorities: func(ctx context.Context) ([]api.Authority, error) {
			a, err := OpenAuthorities(ctx, p.Config, p.Store(), clock)
			if errors.Is(err, ErrNoAuthority) || errors.Is(err, ErrNoAuthorityURL) {
				return nil, nil
			}
			if err != nil {
				return nil, err
			}
			return a.Describe(ctx)
		},
		Issue: func(ctx context.Context, o api.Issue) ([]*x509.Certificate, error) {
			a, err := openedAuthorities(ctx, p, clock)
			if err != nil {
				return nil, err
			}
			return a.issueOrdered(ctx, o)
		},
		Revoke: func(ctx context.Context, cert *x509.Certificate, reason string) error {
			a, err := openedAuthorities(ctx, p, clock)
			if err != nil {
				return err
			}
			err = a.Revoke(ctx, cert, ca.Reason(reason))
			if errors.Is(err, ErrForeign) || errors.Is(err, ErrNotRecorded) {
				return api.Refused{Why: err}
			}
			if err != nil {
				return err
			}
			_, err = a.WriteFiles(context.WithoutCancel(ctx))
			return err
		},
	}, release
}

// openedAuthorities is OpenAuthorities for a client, who may read that there are none.
func openedAuthorities(ctx context.Context, p *Parts, clock func() time.Time) (*Authorities, error) {
	a, err := OpenAuthorities(ctx, p.Config, p.Store(), clock)
	if errors.Is(err, ErrNoAuthority) || errors.Is(err, ErrNoAuthorityURL) {
		return nil, api.Refused{Why: err}
	}
	return a, err
}

// issueOrdered issues what a client ordered.
func (a *Authorities) issueOrdered(ctx context.Context, o api.Issue) ([]*x509.Certificate, error) {
	r, err := a.Request(Order{Address: o.Address, Key: o.Key, Days: o.Days, Separate: o.Separate})
	if err != nil {
		return nil, api.Refused{Why: err}
	}
	if !o.Again {
		valid, err := a.Valid(ctx, o.Address)
		if err != nil {
			return nil, err
		}
		if valid != nil {
			return nil, api.Refused{Why: fmt.Errorf("%s has a certificate until %s; revoke it first, or order another one", o.Address, valid.NotAfter.UTC().Format(time.DateOnly))}
		}
	}
	ids, err := a.Issue(ctx, r)
	if err != nil {
		return nil, err
	}
	var list []*x509.Certificate
	for _, id := range ids {
		list = append(list, id.Certificate)
	}
	return list, nil
}

// Reload implements api.Gateway: the goroutine of Run does it, as for SIGHUP.
func (g consoleGateway) Reload(ctx context.Context) error {
	answer := make(chan error, 1)
	select {
	case g.reloads <- answer:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Check implements api.Gateway.
func (g consoleGateway) Check(text []byte) (problems, warnings config.Problems) {
	b, sealed := compileSent(g.options.Path, text)
	if b.config == nil || len(b.problems) > 0 {
		return b.problems.InOrder(), sealed
	}
	return nil, slices.Concat(sealed, unmet(b.config), reachable(b.config)).InOrder()
}

// Rules implements api.Gateway.
func (g consoleGateway) Rules(text []byte) (history.Rules, config.Problems) {
	b, sealed := compileSent(g.options.Path, text)
	problems := slices.DeleteFunc(sealed, func(p config.Problem) bool { return !decides(p.Key) })
	if problems = slices.Concat(b.problems, problems); len(problems) > 0 {
		return history.Rules{}, problems.InOrder()
	}
	return history.Rules{Policy: b.parts.Policy, Inbound: b.inbound, Partners: b.partners}, nil
}

// decides reports whether an option is one that rules decide by.
func decides(key string) bool {
	rule := strings.HasPrefix(key, "rule[") || strings.HasPrefix(key, "inbound_rule[")
	return rule && !strings.Contains(key, "].footer")
}

// compileSent reads a configuration that a client sent, and compiles its rules, partners and
// entitlements. Nothing that it names is opened, run or connected to: with the rights of the
// gateway, a client could read files and start programs by it. Sealed are the options whose
// value is in a file.
func compileSent(path string, text []byte) (b *builder, sealed config.Problems) {
	c, problems, sealed := config.ParseSent(path, text)
	b = &builder{config: c, known: problems, problems: problems, parts: &Parts{Config: c}}
	if c == nil {
		return b, sealed
	}
	b.policy()
	b.inbound = b.inboundPolicy()
	b.partners = b.agreements()
	b.entitled = b.entitlements()
	return b, sealed
}

// openHistory is a history that is open to be looked into.
type openHistory struct {
	mu    sync.Mutex
	place history.Place
	store *history.Store
}

// get returns the history of a configuration; nil where it has none.
func (h *openHistory) get(ctx context.Context, c *config.Config) (*history.Store, error) {
	place, ok, err := HistoryPlace(c)
	if err != nil || !ok {
		return nil, err
	}
	return h.open(ctx, place)
}

// open returns the history at a place.
func (h *openHistory) open(ctx context.Context, place history.Place) (*history.Store, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.store != nil && h.place == place {
		return h.store, nil
	}
	if err := h.closeLocked(); err != nil {
		return nil, err
	}
	opened, err := history.OpenExisting(ctx, place)
	if err != nil {
		return nil, err
	}
	h.store, h.place = opened, place
	return opened, nil
}

func (h *openHistory) closeLocked() error {
	if h.store == nil {
		return nil
	}
	err := h.store.Close()
	h.store = nil
	return err
}

func (h *openHistory) close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closeLocked()
}
