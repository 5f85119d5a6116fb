package service

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/smimerelay/smimerelay/certs"
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
	}, release
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
func (g consoleGateway) Check(ctx context.Context, text []byte) (problems, warnings config.Problems, err error) {
	c, known := config.Parse(g.options.Path, text)
	if c == nil {
		return known, nil, nil
	}
	clock := g.options.Clock
	parts, problems := build(c, known, setting{clock: clock, log: slog.New(slog.DiscardHandler)})
	if parts == nil {
		return problems, nil, nil
	}
	holdings, err := parts.Survey(ctx, clock())
	if err == nil {
		warnings = parts.Warnings(holdings, clock())
	}
	return problems, warnings, errors.Join(err, parts.Close())
}

// openHistory is a history that is open for the console.
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
