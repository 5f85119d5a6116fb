package history

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// The bounds of a Writer.
const (
	// every is how often what waits is written.
	every = time.Second
	// hold is how long a row waits for the first delivery of its message, which is known in a
	// moment as a rule: the row is then written once, with it.
	hold = 2 * time.Second
	// room is how many rows and changes wait at most, for as long as the store fails.
	room = 20_000
	// perBatch is how many rows are written in one transaction.
	perBatch = 1000
	// patience is for how long a change waits for its row, which another node writes, or
	// this one in a moment.
	patience = time.Minute
	// patienceAtEnd is that of a node that ends: a row is written by then, if its node can.
	patienceAtEnd = hold + 3*every
	// pruneEvery is how often what is not kept any more is deleted, and what a node of an
	// earlier release wrote is indexed.
	pruneEvery = 10 * time.Minute
	// writeTime is how long one transaction may take.
	writeTime = time.Minute
)

// WriterConfig is what a Writer needs.
type WriterConfig struct {
	// Open opens the store. Where it fails, it is called again later.
	Open func(context.Context) (*Store, error)
	// Limits say what is kept; they are asked each time.
	Limits func() Limits
	Clock  func() time.Time
	Log    *slog.Logger
	// Dropped counts rows and changes that are not written; nil counts nothing.
	Dropped func(number int)
}

// Writer writes rows beside the mail path. Put and Change never wait: where the store is
// slower than the mail, or fails for long, what there is no room for is dropped, counted
// and reported.
type Writer struct {
	cfg    WriterConfig
	cancel context.CancelFunc
	done   chan struct{}
	tried  chan struct{} // closed once the store was opened, or could not be
	wake   chan struct{} // there is a whole batch

	mu      sync.Mutex
	rows    pending
	writing []*Row // taken out of rows, and not known to be stored
	changes early
	dropped int
	store   *Store // nil before it is open
}

// NewWriter begins to write. Close ends it.
func NewWriter(cfg WriterConfig) *Writer {
	ctx, cancel := context.WithCancel(context.Background())
	w := &Writer{
		cfg: cfg, cancel: cancel, done: make(chan struct{}), tried: make(chan struct{}), wake: make(chan struct{}, 1),
		rows: pending{by: map[rowKey]*Row{}}, changes: early{by: map[rowKey][]waiting{}},
	}
	go w.run(ctx)
	return w
}

// Put has rows written. They are the writer's from then on.
func (w *Writer) Put(rows ...Row) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.fits(len(rows)) {
		return
	}
	now := w.cfg.Clock()
	for i := range rows {
		r := &rows[i]
		k := r.key()
		for _, c := range w.changes.of(k) {
			r.apply(c.Change)
		}
		w.rows.add(r, k, now)
	}
	w.full()
}

// Change has a change written: it is made at once where the row still waits.
func (w *Writer) Change(c Change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.rows.change(c) || !w.fits(1) {
		return
	}
	w.changes.add(waiting{c, w.cfg.Clock()})
	w.full()
}

// fits reports whether there is room for so many, and counts them otherwise.
func (w *Writer) fits(n int) bool {
	if w.waitingLocked()+n <= room {
		return true
	}
	w.dropped += n
	if w.cfg.Dropped != nil {
		w.cfg.Dropped(n)
	}
	return false
}

// full wakes who writes when there is a whole batch.
func (w *Writer) full() {
	if w.waitingLocked() < perBatch {
		return
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// current is the open store, nil as long as it cannot be opened.
func (w *Writer) current() *Store {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.store
}

// Close writes what waits and closes the store. ctx bounds that.
func (w *Writer) Close(ctx context.Context) error {
	w.cancel()
	<-w.done
	var err error
	if w.waits() || w.current() != nil {
		err = w.flush(ctx, true)
	}
	if s := w.current(); s != nil {
		if err == nil && s.shared {
			err = w.flushChanges(ctx)
		}
		err = errors.Join(err, s.Close())
	}
	return err
}

// flushChanges waits for the rows of messages that other nodes took and this one delivered: what
// became of those would not be known otherwise.
func (w *Writer) flushChanges(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patienceAtEnd)
	defer cancel()
	tick := time.NewTicker(every / 4)
	defer tick.Stop()
	for w.waits() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil // the history does not have them
		}
		if err := w.flush(ctx, true); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// errNotOpen is returned while the store could not be opened yet.
var errNotOpen = errors.New("history: not open yet")

// Search finds rows that are written, newest first.
func (w *Writer) Search(ctx context.Context, q Query) (Page, error) {
	s := w.current()
	if s == nil {
		return Page{}, errNotOpen
	}
	return s.Search(ctx, q)
}

// Message is Store.Message, of rows that are written.
func (w *Writer) Message(ctx context.Context, id string) ([]Row, error) {
	s := w.current()
	if s == nil {
		return nil, errNotOpen
	}
	return s.Message(ctx, id)
}

// waits reports whether there is something to write.
func (w *Writer) waits() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.waitingLocked() > 0
}

// waitingLocked is how many rows and changes wait.
func (w *Writer) waitingLocked() int { return len(w.rows.list) + w.changes.number }

func (w *Writer) run(ctx context.Context) {
	defer close(w.done)
	tick := time.NewTicker(every)
	defer tick.Stop()
	failing := w.round(ctx, false)
	close(w.tried)
	var pruned time.Time
	unclassed := true
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-w.wake:
			if failing {
				continue // it is tried again by the clock
			}
		}
		failing = w.round(ctx, failing)
		if now := w.cfg.Clock(); !failing && now.Sub(pruned) >= pruneEvery {
			pruned, unclassed = now, true
			w.prune(ctx, now)
		}
		if !failing && unclassed {
			unclassed = w.classify(ctx)
		}
	}
}

// round writes what waits, and reports whether that fails. It is said once that it fails,
// and once that it works again.
func (w *Writer) round(ctx context.Context, failed bool) (failing bool) {
	err := w.flush(ctx, false)
	switch {
	case err != nil && ctx.Err() != nil:
		return failed
	case err != nil && !failed:
		w.cfg.Log.Warn("the history cannot be written; mail is processed without it", "error", err)
	case err == nil && failed:
		w.cfg.Log.Info("the history is written again")
	}
	if err == nil {
		w.mu.Lock()
		dropped := w.dropped
		w.dropped = 0
		w.mu.Unlock()
		if dropped > 0 {
			w.cfg.Log.Warn("entries of the history are lost: there was no room to keep them until they could be written", "entries", dropped)
		}
	}
	return err != nil
}

// opened opens the store where it is not open.
func (w *Writer) opened(ctx context.Context) (*Store, error) {
	if s := w.current(); s != nil {
		return s, nil
	}
	s, err := w.cfg.Open(ctx)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.store = s
	return s, nil
}

// flush writes what waits. The last time what was found no row for stays, for Close.
func (w *Writer) flush(ctx context.Context, last bool) error {
	s, err := w.opened(ctx)
	if err != nil {
		return err
	}
	for {
		rows, changes := w.take(last)
		if len(rows)+len(changes) == 0 {
			return nil
		}
		made := make([]Change, len(changes))
		for i, c := range changes {
			made[i] = c.Change
		}
		work, cancel := context.WithTimeout(ctx, writeTime)
		unmatched, err := s.writeRows(work, rows, made)
		cancel()
		if err != nil {
			w.giveBack(rows, changes)
			return err
		}
		w.written()
		if w.again(changes, unmatched, last) && !last {
			return nil // in a moment
		}
		if last && len(rows) == 0 {
			return nil
		}
	}
}

// take takes a batch out. Rows that may still be held stay, but for the last time and where a
// whole batch waits: then what is held would be the memory of a busy gateway.
func (w *Writer) take(last bool) (rows []*Row, changes []waiting) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := time.Time{}
	if !last && len(w.rows.list) < perBatch {
		before = w.cfg.Clock().Add(-hold)
	}
	rows = w.rows.take(perBatch, before)
	w.writing = rows
	if len(rows) < perBatch {
		changes = w.changes.take()
	}
	return rows, changes
}

// written forgets the rows that were taken out: they are in the store.
func (w *Writer) written() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writing = nil
}

// giveBack puts back, before all else, what could not be written. What happened to the rows
// meanwhile is made at once, as it is to rows that wait: it is before all that is still to come.
func (w *Writer) giveBack(rows []*Row, changes []waiting) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writing = nil
	w.rows.putBack(rows)
	w.changes.putBack(changes)
	for _, r := range rows {
		for _, c := range w.changes.of(r.key()) {
			w.rows.change(c.Change)
		}
	}
}

// again keeps the changes that found no row for another try, and reports whether there
// are some. What has waited long enough is about a message that the history does not
// have.
func (w *Writer) again(tried []waiting, unmatched []Change, last bool) bool {
	if len(unmatched) == 0 {
		return false
	}
	left := make(map[rowKey]bool, len(unmatched))
	for _, c := range unmatched {
		left[rowKey{c.ID, key(c.Recipient)}] = true
	}
	longest := patience
	if last {
		longest = patienceAtEnd
	}
	var keep []waiting
	now := w.cfg.Clock()
	for _, c := range tried {
		if left[rowKey{c.ID, key(c.Recipient)}] && now.Sub(c.since) < longest {
			keep = append(keep, c)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.changes.putBack(keep)
	return len(keep) > 0
}

// classify gives their class to some of the rows that an earlier release wrote, and reports whether
// there may be more: a large history gets it step by step, in between what is written.
func (w *Writer) classify(ctx context.Context) (more bool) {
	more, err := w.current().classify(ctx)
	w.reportIndexing(ctx, err)
	return more && err == nil
}

// prune tends what is stored.
func (w *Writer) prune(ctx context.Context, now time.Time) {
	s := w.current()
	if _, err := s.Prune(ctx, now, w.cfg.Limits()); err != nil && ctx.Err() == nil {
		w.cfg.Log.Warn("old entries of the history could not be deleted", "error", err)
	}
	if !s.shared {
		return
	}
	_, err := s.refer(ctx)
	w.reportIndexing(ctx, err)
}

func (w *Writer) reportIndexing(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		w.cfg.Log.Warn("entries of the history that another release wrote could not be indexed", "error", err)
	}
}
