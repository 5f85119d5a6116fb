package queue

import (
	"context"
	"database/sql"
	"slices"
	"sync"
	"time"

	"github.com/smimerelay/smimerelay/internal/guard"
	"github.com/smimerelay/smimerelay/relay/internal/wire"
)

// dispatcher gives the jobs that are due to workers, to so many at once as there may
// be. It takes them in the transactions of the writer: the commit that stores a
// message marks its job as running too, and the commit that records an attempt takes
// the next job. No job waits to be found, and none costs a commit of its own.
type dispatcher struct {
	queue   *Queue
	ctx     context.Context //nolint:containedctx // ends with Stop, not with a call
	cancel  context.CancelFunc
	workers sync.WaitGroup
	looking sync.WaitGroup
	stopped chan struct{}
	freed   freed
	fresh   map[int64]*fresh // by job; of the writer

	mu    sync.Mutex
	open  bool // from Start to Stop
	seats seats
	lines lines
	jobs  map[int64]*place // that have a worker, or are about to
}

// place is the seat of a job.
type place struct {
	job
	retry bool
	busy  bool   // the attempt is not recorded
	done  func() // ends its turn
}

func newDispatcher(q *Queue) *dispatcher {
	d := &dispatcher{queue: q, stopped: make(chan struct{}), lines: lines{}, jobs: map[int64]*place{}, freed: newFreed(), fresh: map[int64]*fresh{}}
	d.seats = newSeats(q.config.Workers)
	d.ctx, d.cancel = context.WithCancel(context.Background())
	return d
}

func (d *dispatcher) start() {
	d.mu.Lock()
	d.open = true
	d.mu.Unlock()
	d.looking.Go(d.look)
}

// stop lets the workers finish, and interrupts them when ctx is done first. No job
// is taken any more.
func (d *dispatcher) stop(ctx context.Context) {
	d.mu.Lock()
	if d.open {
		d.open = false
		close(d.stopped)
	}
	d.mu.Unlock()
	finished := make(chan struct{})
	go func() {
		d.looking.Wait()
		d.workers.Wait()
		close(finished)
	}()
	select {
	case <-finished:
	case <-ctx.Done():
	}
	d.cancel() // deliveries watch their context
	<-finished
}

// look takes up what became due, has its turn, or was stored by another process, now
// and then.
func (d *dispatcher) look() {
	for {
		d.poll()
		next := time.NewTimer(d.pause())
		select {
		case <-d.stopped:
			next.Stop()
			return
		case <-next.C:
		case <-d.freed.wake:
			next.Stop()
			d.askAgain(d.freed.all())
		}
	}
}

// pause is how long it is until the next look.
func (d *dispatcher) pause() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lines.next(d.queue.config.Clock(), d.queue.config.Look)
}

// poll has the writer take jobs, if there are any for which there is a worker.
func (d *dispatcher) poll() {
	if d.room() == 0 {
		return // the worker that is free next takes the next job
	}
	due, err := d.queue.jobDue(d.ctx)
	if err == nil && (due || d.turnDue()) {
		err = d.queue.writer.write(d.ctx, func(*sql.Tx) error { return nil })
	}
	if err != nil && ofStore(err) {
		d.queue.health.failed(err)
	}
}

// turnDue reports whether a delivery that stands in line may have its turn.
func (d *dispatcher) turnDue() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.lines.worth(d.queue.config.Clock())) > 0
}

// room returns how many workers may begin.
func (d *dispatcher) room() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.open {
		return 0
	}
	return d.seats.free()
}

// take marks jobs as running. Only the writer calls it: what it took begins with run
// when the transaction is on the disk, and has to be given to drop if it is not.
func (d *dispatcher) take(tx *sql.Tx) (jobs []job, err error) {
	if d.room() == 0 {
		return nil, nil
	}
	// The end of d.ctx must not interrupt a transaction that has changes of others.
	c, err := d.choose(context.WithoutCancel(d.ctx), tx)
	if err == nil {
		err = d.mark(context.WithoutCancel(d.ctx), tx, c)
	}
	if err != nil {
		d.drop(c.jobs)
		return nil, err
	}
	return c.jobs, nil
}

// choice is what becomes of jobs that are due.
type choice struct {
	jobs  []job // have a seat
	later []job // of destinations that fail: shall wait
	aside []job // shall stand in line
}

// choose gives seats to jobs: first to those that stood in line.
func (d *dispatcher) choose(ctx context.Context, tx *sql.Tx) (c choice, err error) {
	if c.jobs, err = d.ask(ctx, tx); err != nil {
		return c, err
	}
	d.mu.Lock()
	turns := d.seats.turns(d.queue.config.Clock())
	if len(d.lines) > 0 {
		for i := range turns {
			turns[i].wait = maxPassed
		}
	}
	d.mu.Unlock()
	for _, t := range turns {
		t.most = min(t.most, d.room())
		if t.most == 0 {
			continue
		}
		err := d.queue.dueJobs(ctx, tx, t.priority, t.most+t.pass+t.wait, func(j job) bool {
			switch d.admitDue(j, t.priority) {
			case admitted:
				c.jobs = append(c.jobs, j)
				t.most--
			case failing:
				c.later = append(c.later, j)
				t.wait--
			case inLine:
				c.aside = append(c.aside, j)
				t.wait--
			case full, noRetries:
				t.pass--
			case seated:
			}
			return t.most > 0 && t.pass > 0 && t.wait >= 0
		})
		if err != nil {
			return c, err
		}
	}
	return c, nil
}

// admitDue is admit for a job that may have to go to the end of a line.
func (d *dispatcher) admitDue(j job, priority int) verdict {
	if d.lined(j.destination) && !d.works(j.id) {
		return inLine
	}
	return d.admit(j, priority)
}

// admit gives a job a seat, if it gets one and has its turn.
func (d *dispatcher) admit(j job, priority int) verdict {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.jobs[j.id] != nil {
		return seated
	}
	if v := d.seats.judge(j.destination, priority); v != admitted {
		return v
	}
	done, wait := d.queue.config.Turn(j.destination)
	if done == nil {
		d.lengthen(j.destination, wait)
		return inLine
	}
	d.seats.seat(j.destination, priority)
	d.jobs[j.id] = &place{job: j, retry: priority == retry, busy: true, done: done}
	return admitted
}

// mark writes down what was chosen.
func (d *dispatcher) mark(ctx context.Context, tx *sql.Tx, c choice) error {
	if err := d.queue.take(ctx, tx, c.jobs); err != nil {
		return err
	}
	for _, j := range c.jobs {
		if err := stepOut(ctx, tx, j); err != nil {
			return err
		}
	}
	for _, j := range c.aside {
		if err := d.queue.setAside(ctx, tx, j, d.queue.config.Clock()); err != nil {
			return err
		}
	}
	for _, j := range c.later {
		if _, err := tx.ExecContext(ctx, d.queue.engine.postpone, j.id, d.queue.pause().Seconds()); err != nil {
			return err
		}
	}
	return nil
}

// drop gives back the seats of jobs that were not taken after all.
func (d *dispatcher) drop(jobs []job) {
	for _, j := range jobs {
		d.leave(j.id)
	}
}

// run gives each job a worker. After Stop it leaves them to the next process.
func (d *dispatcher) run(jobs []job) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.open {
		return
	}
	for _, j := range jobs {
		d.workers.Go(func() {
			defer d.leave(j.id)
			wire.GrowStack()
			// What a panic leaves undone is found by the tender.
			_ = guard.Do(d.queue.config.Log, "delivery", func() error {
				d.queue.attempt(d.ctx, j)
				return nil
			})
		})
	}
}

// release notes that all that was to be done for a job is in a transaction: when it
// is on the disk, the worker may have another one.
func (d *dispatcher) release(job int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p := d.jobs[job]; p != nil && p.busy {
		p.busy = false
		p.done()
		d.seats.leave(p.destination, p.retry)
		if _, ok := d.lines[p.destination]; ok {
			d.lines[p.destination] = d.queue.config.Clock() // a turn has ended
		}
	}
}

// leave notes that a worker has ended.
func (d *dispatcher) leave(job int64) {
	d.release(job)
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.jobs, job)
}

// works reports whether a job has a worker.
func (d *dispatcher) works(job int64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.jobs[job] != nil
}

// noteResults remembers whether a destination takes mail.
func (d *dispatcher) noteResults(destination string, results []error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seats.note(destination, !slices.ContainsFunc(results, answered), d.queue.config.Clock())
}

// crowded reports whether a destination fails and has all the workers that it gets: more
// mail for it waits.
func (d *dispatcher) crowded(destination string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.seats.judge(destination, firstAttempt) == failing
}

// sweep forgets destinations that failed long ago.
func (d *dispatcher) sweep() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seats.sweep(d.queue.config.Clock())
}
