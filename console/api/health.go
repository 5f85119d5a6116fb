package api

import (
	"context"
	"time"

	"github.com/smimerelay/smimerelay/certs/store"
)

// Health is how the gateway is.
type Health struct {
	Ready       bool       `json:"ready" doc:"Whether messages are accepted."`
	Reason      string     `json:"reason,omitempty" doc:"Why not."`
	Version     string     `json:"version"`
	Loaded      time.Time  `json:"loaded" doc:"When the configuration in use was loaded."`
	Failed      *time.Time `json:"reload_failed,omitempty" doc:"When a reload failed since."`
	Queued      int        `json:"queued" doc:"Deliveries in the queue."`
	Oldest      *time.Time `json:"oldest,omitempty" doc:"Since when the oldest of them is."`
	Held        int        `json:"held" doc:"Messages held for missing certificates."`
	Quarantined int        `json:"quarantined" doc:"Messages in quarantine."`

	Certificates int `json:"certificates" doc:"Certificates in the store."`
	Identities   int `json:"identities" doc:"Of these, those with a private key in the store."`
}

// ListDirectories lists the directories that were asked since the start, by name: how they
// answered. Answers from the cache are not counted.
func (o *Operations) ListDirectories(_ context.Context, _ *Empty) (*Body[List[Directory]], error) {
	all := o.Gateway.Directories()
	return body(listOf(all, len(all), nil)), nil
}

// ShowHealth shows whether the gateway accepts mail, and what waits in it.
func (o *Operations) ShowHealth(ctx context.Context, _ *Empty) (*Body[Health], error) {
	h := Health{Ready: true, Version: o.Version}
	if err := o.Gateway.Ready(); err != nil {
		h.Ready, h.Reason = false, err.Error()
	}
	var failed time.Time
	if h.Loaded, failed = o.Gateway.Loaded(); !failed.IsZero() {
		h.Failed = &failed
	}
	p, release := o.Gateway.Use()
	defer release()
	has := true
	var err error
	if h.Certificates, err = p.Store.Count(ctx, store.Query{}); err != nil {
		return nil, o.problem(ctx, err)
	}
	if h.Identities, err = p.Store.Count(ctx, store.Query{HasKey: &has}); err != nil {
		return nil, o.problem(ctx, err)
	}
	q := o.Gateway.Queue()
	if q == nil {
		return body(h), nil
	}
	if h.Queued, err = q.Len(ctx); err != nil {
		return nil, o.problem(ctx, err)
	}
	oldest, err := q.Oldest(ctx)
	if err != nil {
		return nil, o.problem(ctx, err)
	}
	if !oldest.IsZero() {
		h.Oldest = &oldest
	}
	held, err := q.CountHeld(ctx)
	if err != nil {
		return nil, o.problem(ctx, err)
	}
	h.Held, h.Quarantined = held.Waiting, held.Quarantined
	return body(h), nil
}
