// Package harvest puts into the store what inbound mail teaches: the certificates
// of those who signed, so that they can be answered encrypted, and the ciphers that
// their programs read.
//
// Only a message that passed every check teaches, and only about its author: the
// certificate must be good for encryption to the address in From, by the same
// rules by which it will be judged again whenever it is looked up. What is learned
// is therefore never trusted later; it only need not be searched for elsewhere.
//
// No mail waits for the store: lessons go into a short queue, and what does
// not fit is lost. It comes again with the next message.
package harvest

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/guard"
)

const (
	// queued is how many lessons wait at most.
	queued = 1000
	// jobLimit bounds the work on one lesson: revocation may have to be asked.
	jobLimit = 30 * time.Second
	// closeLimit is for how long Close waits for what is queued.
	closeLimit = 5 * time.Second
	// sweepEvery is how often certificates that ended are removed.
	sweepEvery = 24 * time.Hour
)

// Config is what New needs.
type Config struct {
	Store *store.Store
	// Checker judges certificates for encryption.
	Checker certs.Checker
	// From are the authors whose certificates are kept; nil is all but Own.
	// Except are those whose are not.
	From, Except *enforce.Patterns
	// Own are our domains: their certificates are in our own directory, and are
	// kept only where From names them.
	Own *enforce.Patterns
	// Off keeps nothing of mail; verdicts are noted all the same.
	Off   bool
	Clock func() time.Time // nil is time.Now
	Log   *slog.Logger     // nil is slog.Default
}

// Harvester writes to the store what mail and lookups teach. It may be used by
// many goroutines at once. Close it.
type Harvester struct {
	cfg    Config
	count  atomic.Pointer[func(outcome string)]
	recent memory[string] // claims, by certificate, of the last hour
	noted  memory[string] // words of verdicts that the store has, of the last day
	budget budget
	swept  time.Time // used by the worker only

	ctx    context.Context //nolint:containedctx // ends with Close, not with a call
	cancel context.CancelFunc
	done   chan struct{} // closed when the worker has ended

	mu     sync.Mutex
	closed bool
	warned time.Time // when it was last logged that something was dropped
	jobs   chan func(context.Context)
}

// New starts a Harvester.
func New(cfg Config) *Harvester {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	h := &Harvester{cfg: cfg, jobs: make(chan func(context.Context), queued), done: make(chan struct{})}
	h.recent, h.noted = newMemory[string](time.Hour), newMemory[string](24*time.Hour)
	h.ctx, h.cancel = context.WithCancel(context.Background())
	go h.work()
	return h
}

// Close stores what is queued, within a few seconds, and ends the Harvester. What
// comes after it is lost.
func (h *Harvester) Close() {
	h.mu.Lock()
	if !h.closed {
		h.closed = true
		close(h.jobs)
	}
	h.mu.Unlock()
	late := time.AfterFunc(closeLimit, h.cancel)
	<-h.done
	late.Stop()
	h.cancel()
}

// The outcomes that Count receives.
const (
	outcomeNew     = "new"
	outcomeChanged = "changed"
	outcomeKnown   = "known"
	outcomeRefused = "refused"
	outcomeFull    = "full"
	outcomeFailed  = "failed"
	outcomeDropped = "dropped"
)

// Count has f called with what became of each certificate that was looked at: one
// of the words that docs/metrics.md explains.
func (h *Harvester) Count(f func(outcome string)) { h.count.Store(&f) }

func (h *Harvester) counted(outcome string) {
	if f := h.count.Load(); f != nil {
		(*f)(outcome)
	}
}

// work does one job after the other.
func (h *Harvester) work() {
	defer close(h.done)
	for job := range h.jobs {
		if h.ctx.Err() == nil {
			h.do(job)
		}
	}
}

func (h *Harvester) do(job func(context.Context)) {
	ctx, cancel := context.WithTimeout(h.ctx, jobLimit)
	defer cancel()
	// What a stranger signed must not be able to end the process.
	if err := guard.Do(h.cfg.Log, "harvest", func() error {
		job(ctx)
		if now := h.cfg.Clock(); now.Sub(h.swept) >= sweepEvery {
			h.swept = now
			h.sweep(ctx)
		}
		return nil
	}); err != nil {
		h.counted(outcomeFailed)
	}
}

// enqueue hands a job to the worker, or drops it.
func (h *Harvester) enqueue(job func(context.Context)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	select {
	case h.jobs <- job:
	default:
		h.counted(outcomeDropped)
		if now := h.cfg.Clock(); now.Sub(h.warned) >= time.Hour {
			h.warned = now
			h.cfg.Log.Warn("harvest: too many certificates to store in time; the dropped ones are kept with the next message of their authors")
		}
	}
}

// sweep removes harvested certificates that ended.
func (h *Harvester) sweep(ctx context.Context) {
	const atOnce = 500
	for {
		ended, err := h.cfg.Store.Find(ctx, store.Query{
			Origins: []store.Origin{store.Harvested}, EndsBefore: h.cfg.Clock(), Limit: atOnce,
		})
		n := 0
		if err == nil {
			n, err = h.forget(ctx, ended)
		}
		if err != nil {
			h.cfg.Log.Warn("harvest: expired certificates could not be removed", "error", err)
		}
		if n == 0 || n < atOnce {
			return
		}
	}
}

func (h *Harvester) forget(ctx context.Context, entries []store.Entry) (int, error) {
	fingerprints := make([][32]byte, len(entries))
	for i, e := range entries {
		fingerprints[i] = e.Fingerprint
	}
	return h.cfg.Store.Forget(ctx, fingerprints...)
}
