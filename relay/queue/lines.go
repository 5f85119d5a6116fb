package queue

import (
	"context"
	"database/sql"
	"math"
	"slices"
	"sync"
	"time"
)

// lines are the destinations at which deliveries stand in line, because the limits of
// their routes (concurrency, rate) are reached, with the time at which it is worth to ask
// whether the first has its turn. In the store such a delivery has the time since when it
// stands there, and a job for much later, so that it is in no other's way. What comes for
// a destination with a line goes to its end.
type lines map[string]time.Time

const (
	// maxLines is how many lines are asked in one transaction: each costs a query.
	maxLines = 20
	// lineLasts is for how long a delivery stands in line. Then its job is due, by which
	// a process that does not know of the line learns of it.
	lineLasts = 10 * time.Minute
)

// worth returns the lines that are worth to be asked, the longest waiting first.
func (l lines) worth(now time.Time) []string {
	var names []string
	for name, at := range l {
		if !at.After(now) {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return l[a].Compare(l[b]) })
	return names[:min(len(names), maxLines)]
}

// next is how long it is until a line is worth to be asked, if that is less than most.
func (l lines) next(now time.Time, most time.Duration) time.Duration {
	for _, at := range l {
		if wait := at.Sub(now); wait > 0 {
			most = min(most, wait)
		}
	}
	return most
}

// ask asks the lines: the first of each that has its turn gets a seat.
func (d *dispatcher) ask(ctx context.Context, tx *sql.Tx) (jobs []job, err error) {
	d.mu.Lock()
	names := d.lines.worth(d.queue.config.Clock())
	d.mu.Unlock()
	for _, name := range names {
		room := d.room()
		if room == 0 {
			return jobs, nil
		}
		seated, stays, err := d.askLine(ctx, tx, name, room, true)
		jobs = append(jobs, seated...)
		if err == nil && stays == noRetries {
			// New mail does not wait behind retries that have no seat: their seats may be
			// those of retries at destinations that do not answer.
			var fresh verdict
			seated, fresh, err = d.askLine(ctx, tx, name, d.room(), false)
			jobs = append(jobs, seated...)
			if fresh != admitted {
				stays = fresh
			}
		}
		switch {
		case err != nil:
			return jobs, err
		case stays == admitted:
			d.endLine(name)
		case stays == noRetries:
			d.line(name, 0) // to find new mail among many retries takes time
		case stays != inLine:
			d.toEnd(name)
		}
	}
	return jobs, nil
}

// askLine asks a line, with or without those in it that are to be tried again. stays is why
// the first that got no seat got none; admitted if all did.
func (d *dispatcher) askLine(ctx context.Context, tx *sql.Tx, name string, room int, retries bool) (jobs []job, stays verdict, err error) {
	if room == 0 {
		return nil, full, nil
	}
	// One more than there is room for shows whether that was all.
	err = d.queue.linedJobs(ctx, tx, name, room+1, retries, func(j job) bool {
		stays = d.admit(j, priorityAfter(j.attempts))
		if stays == admitted {
			jobs = append(jobs, j)
		}
		return stays == admitted
	})
	return jobs, stays, err
}

// toEnd has a line whose first may not have a seat asked after the others: as many as are
// asked at once, at destinations that fail, would keep all others from being asked.
func (d *dispatcher) toEnd(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines[name] = d.queue.config.Clock()
}

// freed are destinations at which a turn has ended that was not one of the queue.
type freed struct {
	wake  chan struct{}
	mu    *sync.Mutex
	names map[string]bool
}

func newFreed() freed {
	return freed{wake: make(chan struct{}, 1), mu: new(sync.Mutex), names: map[string]bool{}}
}

// Freed has the queue ask soon for the turn at a destination that it asked for in vain. It
// may be called by what Config.Turn waits for.
func (q *Queue) Freed(destination string) {
	f := q.dispatcher.freed
	f.mu.Lock()
	f.names[destination] = true
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// all returns the destinations since the last call.
func (f freed) all() (names []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name := range f.names {
		names = append(names, name)
	}
	clear(f.names)
	return names
}

// askAgain notes that it is worth to ask the lines at destinations.
func (d *dispatcher) askAgain(names []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range names {
		if _, ok := d.lines[name]; ok {
			d.lines[name] = d.queue.config.Clock()
		}
	}
}

// endLine notes that nothing stands in line at a destination.
func (d *dispatcher) endLine(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.lines, name)
}

// lined reports whether deliveries stand in line at a destination.
func (d *dispatcher) lined(name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.lines[name]
	return ok
}

// line notes that a delivery stands in line, whose turn is not before after; 0 is when
// another one's ends.
func (d *dispatcher) line(name string, after time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lengthen(name, after)
}

// lengthen is line for one who has d.mu.
func (d *dispatcher) lengthen(name string, after time.Duration) {
	if after <= 0 {
		after = d.queue.config.Look // messages of others have turns too: their end is not seen
	}
	d.lines[name] = d.queue.config.Clock().Add(after)
}

// findLines learns of the lines that are in the store.
func (d *dispatcher) findLines(ctx context.Context) error {
	names, err := d.queue.linedDestinations(ctx)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range names {
		if _, ok := d.lines[name]; !ok {
			d.lines[name] = time.Time{}
		}
	}
	return nil
}

// linedDestinations are those at which deliveries stand in line.
func (s *Store) linedDestinations(ctx context.Context) ([]string, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT DISTINCT destination FROM smimerelay_delivery WHERE lined > 0`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		all = append(all, name)
	}
	return all, rows.Err()
}

// linedJobs calls each with the jobs that stand in line at a destination, in their order,
// limit at most, until it returns false. Without retries they are those of new mail.
func (s *Store) linedJobs(ctx context.Context, tx *sql.Tx, destination string, limit int, retries bool, each func(job) bool) error {
	most := 0
	if retries {
		most = math.MaxInt32
	}
	rows, err := tx.QueryContext(ctx, s.engine.lined, destination, limit, most)
	if err != nil {
		return err
	}
	defer rows.Close()
	return eachJob(rows, each)
}

// setAside has a job stand in line.
func (s *Store) setAside(ctx context.Context, tx *sql.Tx, j job, now time.Time) error {
	if _, err := tx.ExecContext(ctx, s.engine.postpone, j.id, spread(lineLasts).Seconds()); err != nil {
		return err
	}
	if j.lined {
		return nil // it keeps its place
	}
	// New mail stands in the order in which it came, also where some of it was stored after
	// others had begun to form the line.
	_, err := tx.ExecContext(ctx, `UPDATE smimerelay_delivery SET lined = CASE WHEN attempts = 0 THEN created ELSE $1 END WHERE id = $2`,
		now.UnixMilli(), j.delivery)
	return err
}

// stepOut has a delivery that has its turn stand in line no more.
func stepOut(ctx context.Context, tx *sql.Tx, j job) error {
	if !j.lined {
		return nil
	}
	_, err := tx.ExecContext(ctx, `UPDATE smimerelay_delivery SET lined = 0 WHERE id = $1`, j.delivery)
	return err
}
