package queue

import (
	"context"
	"database/sql"
	"sync"
	"time"

	"github.com/smimerelay/smimerelay/internal/guard"
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

	mu   sync.Mutex
	open bool           // from Start to Stop
	busy int            // workers whose attempt is not recorded
	jobs map[int64]bool // that have a worker; true while it is busy
}

func newDispatcher(q *Queue) *dispatcher {
	d := &dispatcher{queue: q, stopped: make(chan struct{}), jobs: map[int64]bool{}}
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

// look takes up what became due, or was stored by another process, now and then.
func (d *dispatcher) look() {
	tick := time.NewTicker(d.queue.config.Look)
	defer tick.Stop()
	for {
		d.poll()
		select {
		case <-d.stopped:
			return
		case <-tick.C:
		}
	}
}

// poll has the writer take jobs, if there are any for which there is a worker.
func (d *dispatcher) poll() {
	if d.room() == 0 {
		return // the worker that is free next takes the next job
	}
	due, err := d.queue.jobDue(d.ctx)
	if err == nil && due {
		err = d.queue.writer.write(d.ctx, func(*sql.Tx) error { return nil })
	}
	if err != nil && ofStore(err) {
		d.queue.health.failed(err)
	}
}

// room returns how many workers may begin.
func (d *dispatcher) room() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.open {
		return 0
	}
	return max(0, d.queue.config.Workers-d.busy)
}

// take marks jobs as running. Only the writer calls it: what it took begins with run
// when the transaction is on the disk, and was never taken if it is not.
func (d *dispatcher) take(tx *sql.Tx) ([]job, error) {
	n := d.room()
	if n == 0 {
		return nil, nil
	}
	// The end of d.ctx must not interrupt a transaction that has changes of others.
	return takeJobs(context.WithoutCancel(d.ctx), tx, n)
}

// run gives each job a worker. After Stop it leaves them to the next process.
func (d *dispatcher) run(jobs []job) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.open {
		return
	}
	for _, j := range jobs {
		d.jobs[j.id] = true
		d.busy++
		d.workers.Go(func() {
			defer d.leave(j.id)
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
	if d.jobs[job] {
		d.jobs[job] = false
		d.busy--
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
	_, ok := d.jobs[job]
	return ok
}
