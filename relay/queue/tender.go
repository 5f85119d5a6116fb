package queue

import (
	"context"
	"crypto/rand"
	"database/sql"
	"sync"
	"time"
)

// tender keeps the queue itself in order: it finds out whether the store works,
// gives a new job to deliveries that have none, reports delays of those that stand in line, and wipes the file and its journal of
// the text that was in it.
type tender struct {
	queue    *Queue
	ctx      context.Context //nolint:containedctx // ends with Stop, not with a call
	cancel   context.CancelFunc
	work     sync.WaitGroup
	suspects map[stray]bool // of the last look
}

func newTender(q *Queue) *tender {
	t := &tender{queue: q}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	return t
}

func (t *tender) start() { t.work.Go(t.run) }

func (t *tender) stop() {
	t.cancel()
	t.work.Wait()
}

func (t *tender) run() {
	tick := time.NewTicker(t.queue.config.Tend)
	defer tick.Stop()
	for {
		select {
		case <-t.ctx.Done():
			return
		case <-tick.C:
			t.poll()
			t.queue.config.changed()
		}
	}
}

// look does the round once. What fails is noted, and done at the next look.
func (t *tender) poll() {
	q := t.queue
	if err := t.probe(); err != nil {
		q.reconnect() // the writer has noted it
		return
	}
	q.dispatcher.sweep()
	if err := t.rescue(); err != nil {
		q.config.Log.Error("checking for orphaned deliveries failed", "error", err)
	}
	if err := q.dispatcher.findLines(t.ctx); err != nil && t.ctx.Err() == nil {
		q.config.Log.Error("looking for deliveries that wait for their turn failed", "error", err)
	}
	if err := q.reportDelays(t.ctx); err != nil && t.ctx.Err() == nil {
		q.config.Log.Error("reporting the delay of deliveries that wait for their turn failed", "error", err)
	}
	if err := q.forgetQuestions(t.ctx); err != nil && t.ctx.Err() == nil {
		q.config.Log.Error("removing expired requests for certificates failed", "error", err)
	}
	err := wipe(t.ctx, q.db, func(apply func(*sql.Tx) error) error { return q.writer.write(t.ctx, apply) })
	if err != nil && t.ctx.Err() == nil {
		q.config.Log.Error("wiping delivered messages failed", "error", err)
	}
	if err := q.wipeJournal(t.ctx); err != nil && t.ctx.Err() == nil {
		q.health.failed(err)
	}
}

// probe finds out whether the store can be written. A store that failed must take
// as much as a message: the last octets of a disk are no recovery.
func (t *tender) probe() error {
	q, size := t.queue, 1
	if q.health.trouble() != nil {
		size = 1 << 20
	} else if q.health.tookWrites() {
		return nil
	}
	octets := make([]byte, size)
	_, _ = rand.Read(octets) // it never fails
	work := context.WithoutCancel(t.ctx)
	err := q.writer.write(t.ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(work, `INSERT INTO smimerelay_probe (id, data) VALUES (1, $1)
			ON CONFLICT (id) DO UPDATE SET data = excluded.data`, octets)
		return err
	})
	if err == nil {
		q.health.recovered()
	}
	return err
}

// rescue gives a job to what was without one at two looks: a job that River has
// just fetched comes to its worker in between.
func (t *tender) rescue() error {
	seen := map[stray]bool{}
	err := t.queue.rescue(context.WithoutCancel(t.ctx), func(s stray) bool {
		seen[s] = true
		return t.suspects[s]
	})
	t.suspects = seen
	return err
}
