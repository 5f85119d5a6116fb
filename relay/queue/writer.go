package queue

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"

	"github.com/smimerelay/smimerelay/internal/guard"
)

// maxBatch is how many changes share a commit at most.
const maxBatch = 64

// linger is how long a change that may wait does so for others, which it would hold
// up with a commit of its own: a client that sends one message after the other would
// wait for the record of the last one before the next is stored. A crash in this time
// has a message delivered twice, as a crash during the commit does.
const linger = 5 * time.Millisecond

var errStopped = errors.New("the queue is stopped")

// writer commits the changes of many callers together: to sync the disk costs
// the same for one and for twenty. Each caller learns of its own change when
// the commit is on the disk, and no sooner; one that fails takes nothing of the
// others with it.
type writer struct {
	db         *sql.DB
	health     *health
	dispatcher *dispatcher
	changed    func()
	linger     time.Duration // of patient changes
	changes    chan *change
	done       chan struct{}

	mu      sync.RWMutex
	stopped bool
}

// change is one caller's part of a transaction.
type change struct {
	apply   func(*sql.Tx) error
	err     error
	done    chan struct{}
	patient bool // may wait for others
}

func newWriter(db *sql.DB, h *health, d *dispatcher, changed func()) *writer {
	w := &writer{db: db, health: h, dispatcher: d, changed: changed, linger: linger, changes: make(chan *change), done: make(chan struct{})}
	go w.run()
	return w
}

// write applies a change and returns when it is on the disk, or was not made.
func (w *writer) write(ctx context.Context, apply func(*sql.Tx) error) error {
	return w.submit(&change{done: make(chan struct{}), apply: func(tx *sql.Tx) error {
		if err := ctx.Err(); err != nil {
			return err // given up while it waited
		}
		return apply(tx)
	}})
}

// writeWithOthers is write for a change that nothing waits for.
func (w *writer) writeWithOthers(apply func(*sql.Tx) error) error {
	return w.submit(&change{done: make(chan struct{}), apply: apply, patient: true})
}

func (w *writer) submit(c *change) error {
	w.mu.RLock()
	if w.stopped {
		w.mu.RUnlock()
		return errStopped
	}
	w.changes <- c
	w.mu.RUnlock()
	// Not even the end of ctx ends this wait: the caller must know.
	<-c.done
	return c.err
}

// stop waits for the last changes.
func (w *writer) stop() {
	w.mu.Lock()
	if !w.stopped {
		w.stopped = true
		close(w.changes)
	}
	w.mu.Unlock()
	<-w.done
}

func (w *writer) run() {
	defer close(w.done)
	for c := range w.changes {
		batch := w.gather(c)
		var jobs []job
		take := &change{done: make(chan struct{}), apply: func(tx *sql.Tx) (err error) {
			w.dispatcher.drop(jobs) // of a transaction that was undone
			jobs, err = w.dispatcher.take(tx)
			return err
		}}
		// The last one: what the others stored, and the workers they freed, count.
		batch = append(batch, take)
		if err := w.commit(batch); err != nil {
			for _, c := range batch {
				c.err = errors.Join(c.err, err)
			}
		}
		for _, c := range batch {
			w.note(c.err)
			close(c.done)
		}
		w.dispatcher.takeFresh(jobs)
		if take.err == nil {
			w.dispatcher.run(jobs)
		} else {
			w.dispatcher.drop(jobs)
		}
		w.changed()
	}
}

// note keeps what a change showed of the store.
func (w *writer) note(err error) {
	switch {
	case err == nil:
		w.health.works()
	case ofStore(err):
		w.health.failed(err)
	}
}

// gather returns c and those that wait already. If all of them may wait, and so may
// what is in the queue, as there are workers for it, it is those that come while they
// linger too, up to the first that may not.
func (w *writer) gather(c *change) []*change {
	batch := []*change{c}
	end := time.NewTimer(w.linger)
	defer end.Stop()
	for wait := c.patient; len(batch) < maxBatch; {
		var over <-chan time.Time
		if wait && w.dispatcher.room() > 0 {
			over = end.C
		}
		more := w.next(over)
		if more == nil {
			return batch
		}
		batch = append(batch, more)
		wait = wait && more.patient
	}
	return batch
}

// next returns the next change that comes until over, which is at once if it is nil;
// nil if none does.
func (w *writer) next(over <-chan time.Time) *change {
	select {
	case c := <-w.changes: // nil when the writer is stopped
		return c
	default:
	}
	if over == nil {
		return nil
	}
	select {
	case c := <-w.changes:
		return c
	case <-over:
		return nil
	}
}

// tries is how often a transaction is made that was in conflict with others.
const tries = 5

// errOneFailed says that a change failed in a transaction of changes that are not kept
// apart.
var errOneFailed = errors.New("a change failed")

// commit applies all changes in one transaction. Its error is that of all of
// them: then nothing was stored, as far as is known.
//
// Changes hardly ever fail. They are kept apart, by two more statements each, only when one
// did: then all are made again.
func (w *writer) commit(batch []*change) (err error) {
	apart := false
	for range tries {
		err = w.commitOnce(batch, apart)
		if !apart && errors.Is(err, errOneFailed) {
			apart = true
			err = w.commitOnce(batch, apart)
		}
		if !inConflict(err) {
			break
		}
	}
	return err
}

func (w *writer) commitOnce(batch []*change, apart bool) error {
	tx, err := w.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	w.dispatcher.forgetFresh()
	for _, c := range batch {
		if apart {
			if err = c.try(tx); c.err != nil {
				w.dispatcher.forgetFresh()
			}
		} else if c.err = c.guarded(tx); inConflict(c.err) {
			err = c.err
		} else if c.err != nil {
			err = errOneFailed
		}
		if err != nil {
			return err
		}
	}
	return tx.Commit()
}

// try applies one change, or undoes what it did. The error it returns, as
// when the disk is full and SQLite has rolled back by itself, is of the whole
// transaction.
func (c *change) try(tx *sql.Tx) error {
	if _, err := tx.Exec(`SAVEPOINT one`); err != nil {
		return err
	}
	if c.err = c.guarded(tx); inConflict(c.err) {
		return c.err
	} else if c.err != nil {
		if _, err := tx.Exec(`ROLLBACK TO one`); err != nil {
			return errors.Join(c.err, err)
		}
	}
	_, err := tx.Exec(`RELEASE one`)
	return err
}

// guarded applies the change; a panic in it must not end the process, for the
// callers of the others wait.
func (c *change) guarded(tx *sql.Tx) (err error) {
	defer guard.Recover(&err, nil, "change of the queue", "")
	return c.apply(tx)
}
