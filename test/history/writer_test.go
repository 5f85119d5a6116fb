package history

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/history"
)

// place is where a Writer finds its store; it can be out of order.
type place struct {
	history.Place
	down atomic.Bool
}

func (p *place) open(ctx context.Context) (*history.Store, error) {
	if p.down.Load() {
		return nil, errors.New("out of order")
	}
	return history.Open(ctx, p.Place)
}

// lines is a log that can be read meanwhile.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{} // something was written
}

func newLines() *lines { return &lines{more: make(chan struct{}, 100)} }

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.more <- struct{}{}:
	default:
	}
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// wait waits for a text.
func (l *lines) wait(t *testing.T, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !strings.Contains(l.String(), text) {
		select {
		case <-l.more:
		case <-ctx.Done():
			t.Fatalf("the log does not say %q:\n%s", text, l)
		}
	}
}

func writer(p *place, log *lines, dropped *atomic.Int64) *history.Writer {
	return history.NewWriter(history.WriterConfig{
		Open: p.open, Limits: func() history.Limits { return history.Limits{} }, Clock: time.Now,
		Log: slog.New(slog.NewTextHandler(log, nil)), Dropped: func(n int) { dropped.Add(int64(n)) },
	})
}

// TestWriterOutlastsAnOutage: no caller waits for a store that fails; what fits is written
// when it works again, what does not is counted, and the log says each once.
func TestWriterOutlastsAnOutage(t *testing.T) {
	p := &place{Place: newFile(t)}
	p.down.Store(true)
	log, dropped := newLines(), new(atomic.Int64)
	w := writer(p, log, dropped)
	log.wait(t, "the history cannot be written")
	const room, more = 20_000, 500
	one := row(t, 1)
	for range room + more {
		w.Put(one)
	}
	w.Change(history.Change{ID: "another", Recipient: one.Recipient})
	if n := dropped.Load(); n != more+1 {
		t.Errorf("%d dropped, want %d", n, more+1)
	}
	p.down.Store(false)
	log.wait(t, "entries=501")
	if err := w.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if n := strings.Count(log.String(), "cannot be written"); n != 1 {
		t.Errorf("said %d times:\n%s", n, log)
	}
	totals, err := open(t, p.Place).Totals(context.Background(), begin, begin)
	if err != nil || totals.Sum(history.CountOutcome)[string(history.Delivered)] != room {
		t.Errorf("totals %+v, %v", totals, err)
	}
}

// TestWriterPutsChangesToTheirRows: a change that comes before its row is in it in the
// end, and all of what waits is written at the end.
func TestWriterPutsChangesToTheirRows(t *testing.T) {
	p := &place{Place: newFile(t)}
	w := writer(p, newLines(), new(atomic.Int64))
	r := row(t, 1)
	r.Outcome = history.Queued
	w.Change(history.Change{ID: r.ID, Recipient: r.Recipient, Outcome: history.Delivered, Event: history.Event{Time: begin, Kind: history.Attempt}})
	w.Change(history.Change{ID: "another", Recipient: r.Recipient, Outcome: history.Failed})
	w.Put(r, row(t, 2))
	if err := w.Close(context.Background()); err != nil {
		t.Error(err)
	}
	s := open(t, p.Place)
	got := search(t, s, history.Query{Text: r.ID}).Rows
	if len(got) != 1 || got[0].Outcome != history.Delivered || len(got[0].Events) != 1 || got[0].Events[0].Attempt != 1 {
		t.Errorf("got %+v", got)
	}
	if n := len(search(t, s, history.Query{}).Rows); n != 2 {
		t.Errorf("%d rows", n)
	}
}

// TestRowIsWrittenOnce: a row whose message is queued waits for the first delivery, so that it
// is written with it; one that waited long enough is written as it is, and one that hid its
// subject does not wait.
func TestRowIsWrittenOnce(t *testing.T) {
	p := newFile(t)
	exec(t, p, `CREATE TABLE updates (seq INTEGER)`)
	open(t, p)
	exec(t, p, `CREATE TRIGGER counted AFTER UPDATE ON smimerelay_history BEGIN INSERT INTO updates VALUES (new.seq); END`)
	var passed atomic.Int64 // on the clock
	w := history.NewWriter(history.WriterConfig{
		Open:   func(ctx context.Context) (*history.Store, error) { return history.Open(ctx, p) },
		Limits: func() history.Limits { return history.Limits{} }, Log: slog.New(slog.DiscardHandler),
		Clock: func() time.Time { return begin.Add(time.Duration(passed.Load())) },
	})
	soon, late, hidden := row(t, 1), row(t, 2), row(t, 3)
	soon.Outcome, late.Outcome, hidden.Outcome, hidden.HiddenSubject = history.Queued, history.Queued, history.Queued, true
	w.Put(soon, late, hidden)
	waitFor(t, w, hidden.ID)
	if got, err := w.Message(t.Context(), soon.ID); len(got) > 0 || err != nil {
		t.Errorf("written before the delivery: %+v, %v", got, err)
	}
	w.Change(history.Change{ID: soon.ID, Recipient: soon.Recipient, Outcome: history.Delivered, Event: history.Event{Time: begin, Kind: history.Attempt}})
	if got := waitFor(t, w, soon.ID); got[0].Outcome != history.Delivered || len(got[0].Events) != 1 {
		t.Errorf("%+v", got)
	}
	passed.Store(int64(10 * time.Second))
	if got := waitFor(t, w, late.ID); got[0].Outcome != history.Queued {
		t.Errorf("%+v", got)
	}
	if err := w.Close(context.Background()); err != nil {
		t.Error(err)
	}
	var updates int
	if err := database(t, p).QueryRow(`SELECT count(*) FROM updates`).Scan(&updates); err != nil || updates != 0 {
		t.Errorf("%d updates, %v", updates, err)
	}
}

// waitFor waits until a message is written.
func waitFor(t *testing.T, w *history.Writer, id string) []history.Row {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if rows, err := w.Message(ctx, id); err == nil && len(rows) > 0 {
			return rows
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s is not written", id)
		}
	}
}

// TestOnlyTheOwnerReads: addresses are in it.
func TestOnlyTheOwnerReads(t *testing.T) {
	p := newFile(t)
	s := open(t, p)
	write(t, s, history.Batch{Rows: rows(t, 0, 10)})
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(p.Path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has the mode %v", info.Name(), info.Mode())
		}
	}
}

// TestNoHistoryIsMadeByLooking: who only looks makes no file.
func TestNoHistoryIsMadeByLooking(t *testing.T) {
	p := newFile(t)
	if _, err := history.OpenExisting(context.Background(), p); !errors.Is(err, history.ErrNone) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(p.Path); err == nil {
		t.Error("there is a file")
	}
}

// TestWriterIsAskedForHiddenSubjects: the answer is of the store that is written, waits for
// it while it is being opened, no longer than the caller does, and is an error where it could
// not be opened.
func TestWriterIsAskedForHiddenSubjects(t *testing.T) {
	p := newFile(t)
	hidden := row(t, 1)
	hidden.HiddenSubject = true
	write(t, open(t, p), history.Batch{Rows: []history.Row{hidden}})
	opening, started := make(chan error), make(chan struct{})
	w := history.NewWriter(history.WriterConfig{
		Open: func(ctx context.Context) (*history.Store, error) {
			close(started)
			if err := <-opening; err != nil {
				return nil, err
			}
			return history.Open(ctx, p)
		},
		Limits: func() history.Limits { return history.Limits{} }, Clock: time.Now, Log: slog.New(slog.DiscardHandler),
	})
	<-started
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if hid, err := w.HidSubject(gone, []string{hidden.MessageID}); hid || !errors.Is(err, context.Canceled) {
		t.Errorf("not open yet: %v, %v", hid, err)
	}
	opening <- nil
	for id, want := range map[string]bool{hidden.MessageID: true, "<other@example.org>": false} {
		if hid, err := w.HidSubject(t.Context(), []string{id}); err != nil || hid != want {
			t.Errorf("%s: %v, %v", id, hid, err)
		}
	}
	if err := w.Close(context.Background()); err != nil {
		t.Error(err)
	}
	down := &place{Place: newFile(t)}
	down.down.Store(true)
	w = writer(down, newLines(), new(atomic.Int64))
	if hid, err := w.HidSubject(t.Context(), []string{hidden.MessageID}); hid || err == nil {
		t.Errorf("cannot be opened: %v, %v", hid, err)
	}
	if err := w.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// TestRowsThatWaitAreAskedForHiddenSubjects: also what is not in the store yet is known, from the
// moment in which it is handed over.
func TestRowsThatWaitAreAskedForHiddenSubjects(t *testing.T) {
	p := &place{Place: newFile(t)}
	dropped := new(atomic.Int64)
	w := writer(p, newLines(), dropped)
	hidden, shown := row(t, 1), row(t, 2)
	hidden.HiddenSubject, hidden.ProtectedID = true, "<inside@example.org>"
	want := func(when string, known bool) {
		t.Helper()
		for id, want := range map[string]bool{hidden.MessageID: known, hidden.ProtectedID: known, shown.MessageID: false, "": false, hidden.QueueID: false} {
			if hid, err := w.HidSubject(t.Context(), []string{"<other@example.org>", id}); err != nil || hid != want {
				t.Errorf("%s: %q: %v, %v", when, id, hid, err)
			}
		}
	}
	want("before", false)
	unlock := lockFile(t, p.Path)
	w.Put(hidden, shown)
	want("waiting", true)
	const room = 20_000
	for put := int64(2); put-dropped.Load() <= room; put++ { // until rows are taken out to be written
		w.Put(shown)
	}
	want("being written", true)
	unlock()
	if err := w.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if hid, err := open(t, p.Place).HidSubject(t.Context(), []string{hidden.MessageID}); err != nil || !hid {
		t.Errorf("written: %v, %v", hid, err)
	}
}

// lockFile keeps others from writing to a database until it is unlocked.
func lockFile(t *testing.T, path string) (unlock func()) {
	t.Helper()
	db, err := sql.Open("sqlite", path+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := errors.Join(tx.Rollback(), db.Close()); err != nil {
			t.Error(err)
		}
	}
}

// TestEndWaitsForRowsOfOtherNodes: a node that delivered a message and ends at once leaves no row
// that says for ever that the message is in the queue: the node that took it may write the row a
// moment later.
func TestEndWaitsForRowsOfOtherNodes(t *testing.T) {
	p := newDatabase(t)
	other, r := open(t, p), row(t, 1)
	r.Outcome = history.Queued
	var ending atomic.Bool
	var once sync.Once
	w := history.NewWriter(history.WriterConfig{
		Open:   func(ctx context.Context) (*history.Store, error) { return history.Open(ctx, p) },
		Limits: func() history.Limits { return history.Limits{} }, Log: slog.New(slog.DiscardHandler),
		Clock: func() time.Time { // is asked after the row was looked for
			if ending.Load() {
				once.Do(func() { write(t, other, history.Batch{Rows: []history.Row{r}}) })
			}
			return begin
		},
	})
	if _, err := w.HidSubject(t.Context(), nil); err != nil { // it is open
		t.Fatal(err)
	}
	w.Change(history.Change{ID: r.ID, Recipient: r.Recipient, Outcome: history.Delivered})
	ending.Store(true)
	if err := w.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := search(t, other, history.Query{Outcome: history.Delivered}).Rows; len(got) != 1 {
		t.Errorf("%d rows are delivered", len(got))
	}
}
