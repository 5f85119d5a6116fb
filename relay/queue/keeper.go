package queue

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/smimerelay/smimerelay/internal/guard"
	"github.com/smimerelay/smimerelay/relay"
)

// keeper looks after what is held: one message at a time, each when it is due.
type keeper struct {
	queue      *Queue
	ctx        context.Context //nolint:containedctx // ends with Stop, not with a call
	cancel     context.CancelFunc
	work       sync.WaitGroup
	generation int64
	known      bool // generation is that of the last look
	quiet      int  // looks to come that do not ask for the generation
}

func newKeeper(q *Queue) *keeper {
	k := &keeper{queue: q}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	return k
}

func (k *keeper) start() {
	if k.queue.config.Decider != nil {
		k.work.Go(k.run)
	}
}

// stop interrupts what is under way: it is done again at the next start.
func (k *keeper) stop() {
	k.cancel()
	k.work.Wait()
}

func (k *keeper) run() {
	tick := time.NewTicker(k.queue.config.Look)
	defer tick.Stop()
	for pause := 0; ; k.queue.config.changed() {
		if pause--; pause < 0 && !k.poll() {
			// The disk, as a rule: to sign and encrypt again at once would not help.
			pause = 30
		}
		select {
		case <-k.ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look reconsiders everything that is due; it reports whether the store did its
// part.
func (k *keeper) poll() (ok bool) {
	if err := k.checkGeneration(); err != nil {
		k.complain("checking for new certificates failed", err)
	}
	ids, err := k.queue.due(k.ctx)
	if err != nil {
		k.complain("reading held messages failed", err)
		return false
	}
	ok = true
	for _, id := range ids {
		if k.ctx.Err() != nil {
			return ok
		}
		if err := k.reconsider(id); err != nil {
			k.complain("held message", fmt.Errorf("%s: %w", HoldID(id), err))
			ok = false
		}
	}
	return ok
}

func (k *keeper) complain(what string, err error) {
	if k.ctx.Err() == nil {
		k.queue.config.Log.Error(what, "error", err)
	}
}

// patience is how many looks pass before certificates that have become known can
// have everything looked at again: they may come in by the minute.
const patience = 10

// checkGeneration makes all that is held due when certificates have become known.
func (k *keeper) checkGeneration() error {
	if k.quiet--; k.quiet >= 0 {
		return nil
	}
	now, err := k.queue.config.Decider.Generation(k.ctx)
	if err != nil || k.known && now == k.generation {
		return err
	}
	first := !k.known
	k.generation, k.known = now, true
	if first {
		return nil
	}
	k.quiet = patience
	return k.queue.Recheck(k.ctx)
}

// reconsider decides again on one message and stores what came of it.
func (k *keeper) reconsider(id int64) error {
	q := k.queue
	share := q.config.Memory.Share()
	defer share.Release()
	if mine, err := q.claimHold(k.ctx, id); err != nil || !mine {
		return err
	}
	s, err := withMemory(k.ctx, share, func(s *relay.Share) (*heldMessage, error) { return q.loadHold(k.ctx, id, s) })
	if err != nil || s == nil {
		return err
	}
	b, err := k.decide(relay.WithMemory(k.ctx, share), s)
	work := context.WithoutCancel(k.ctx)
	switch {
	case k.ctx.Err() != nil:
		return nil // what was found out then may be that we were interrupted
	case err != nil:
		q.config.Log.Warn("held message could not be rechecked", "hold", HoldID(id), "error", err)
		return q.postpone(work, s, err)
	}
	waiting := 0
	if b.Held != nil {
		waiting = len(b.Held.Envelope.Recipients)
	}
	if err := q.resolve(work, s, b); err != nil {
		return err
	}
	q.config.Log.Info("held message", "hold", HoldID(id), "copies", len(b.Copies), "notices", len(b.Notices), "waiting", waiting)
	return nil
}

// decide asks; a panic is no answer.
func (k *keeper) decide(ctx context.Context, s *heldMessage) (b relay.Batch, err error) {
	defer guard.Recover(&err, k.queue.config.Log, "held message", "")
	return k.queue.config.Decider.Reconsider(ctx, s.hold, s.order)
}

// due returns the holds that are to be looked at.
func (q *Queue) due(ctx context.Context) ([]int64, error) {
	return queryInts(ctx, q.db, `SELECT id FROM smimerelay_hold WHERE next <= $1 ORDER BY next, id`, q.config.Clock().UnixMilli())
}
