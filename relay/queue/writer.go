package queue

import (
	"context"
	"database/sql"
	"errors"
	"sync"

	"github.com/smimerelay/smimerelay/internal/guard"
)

// maxBatch is how many changes share a commit at most.
const maxBatch = 64

var errStopped = errors.New("the queue is stopped")

// writer commits the changes of many callers together: to sync the disk costs
// the same for one and for twenty. Each caller learns of its own change when
// the commit is on the disk, and no sooner; one that fails takes nothing of the
// others with it.
type writer struct {
	db      *sql.DB
	health  *health
	changed func()
	changes chan *change
	done    chan struct{}

	mu      sync.RWMutex
	stopped bool
}

// change is one caller's part of a transaction.
type change struct {
	apply func(*sql.Tx) error
	err   error
	done  chan struct{}
}

func newWriter(db *sql.DB, h *health, changed func()) *writer {
	w := &writer{db: db, health: h, changed: changed, changes: make(chan *change), done: make(chan struct{})}
	go w.run()
	return w
}

// write applies a change and returns when it is on the disk, or was not made.
func (w *writer) write(ctx context.Context, apply func(*sql.Tx) error) error {
	w.mu.RLock()
	if w.stopped {
		w.mu.RUnlock()
		return errStopped
	}
	c := &change{done: make(chan struct{}), apply: func(tx *sql.Tx) error {
		if err := ctx.Err(); err != nil {
			return err // given up while it waited
		}
		return apply(tx)
	}}
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
		if err := w.commit(batch); err != nil {
			for _, c := range batch {
				c.err = errors.Join(c.err, err)
			}
		}
		for _, c := range batch {
			w.note(c.err)
			close(c.done)
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

// gather returns c and those that wait already.
func (w *writer) gather(c *change) []*change {
	batch := []*change{c}
	for len(batch) < maxBatch {
		select {
		case c, ok := <-w.changes:
			if !ok {
				return batch
			}
			batch = append(batch, c)
		default:
			return batch
		}
	}
	return batch
}

// commit applies all changes in one transaction. Its error is that of all of
// them: then nothing was stored.
func (w *writer) commit(batch []*change) error {
	tx, err := w.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for _, c := range batch {
		if err := c.try(tx); err != nil {
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
	if c.err = c.guarded(tx); c.err != nil {
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
