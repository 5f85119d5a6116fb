package queue

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smimerelay/smimerelay/internal/postgresdb"
)

// lease is the right of a process to the jobs that it has, where others work on the same
// queue: as long as it renews it they leave its jobs alone. A file has one process, and
// needs none.
type lease struct {
	queue  *Queue
	name   string
	ctx    context.Context //nolint:containedctx // ends with Stop, not with a call
	cancel context.CancelFunc
	work   sync.WaitGroup
	// renewed is when the last renewal that succeeded began.
	renewed atomic.Pointer[time.Time]
}

// newName is a name for this process that no other has or had.
func newName() string { return rand.Text() }

func newLease(q *Queue, name string) *lease {
	l := &lease{queue: q, name: name}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

func (l *lease) start() { l.work.Go(l.run) }

// run renews the lease, three times as often as it ends.
func (l *lease) run() {
	tick := time.NewTicker(l.queue.config.Lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-tick.C:
			if err := l.renew(l.ctx); err != nil && l.ctx.Err() == nil {
				l.queue.health.failed(err)
			}
		}
	}
}

// moveLock is held by a process that moves the mail of a database elsewhere, or restores
// mail into it. A node gets no
// lease while it is, and it is not to be had while a node gets one: after it was, a lease
// shows that a node is at work, and no node begins.
const moveLock postgresdb.Lock = 0x736d696d655f6d76

// errMoving is the error for a node that would deliver what is being moved or restored.
var errMoving = errors.New("smimerelay store migrate is moving the mail out of this database, or smimerelay restore puts mail into it; start the gateway when that has ended, after store migrate with the new store.url")

// renew has the lease last for another while.
func (l *lease) renew(ctx context.Context) error {
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, l.queue.config.Lease)
	defer cancel()
	tx, err := l.queue.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if alone, err := moveLock.TryShare(ctx, tx); err != nil || !alone {
		return cmp.Or(err, errMoving)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO smimerelay_node (name, until) VALUES ($1, `+serverNow+` + $2)
		ON CONFLICT (name) DO UPDATE SET until = excluded.until`, l.name, l.queue.config.Lease.Milliseconds())
	if err == nil {
		err = tx.Commit()
	}
	if err == nil {
		l.renewed.Store(&begun)
	}
	return err
}

// mayStore returns errMoving if the mail of the database is being moved elsewhere, which does
// not begin while a node has its lease: mail that one without stores now would be left
// behind, or be there twice.
func (l *lease) mayStore(ctx context.Context, tx *sql.Tx) error {
	if l == nil {
		return nil // the lock of the file keeps others out
	}
	if at := l.renewed.Load(); at != nil && time.Since(*at) < l.queue.config.Lease*2/3 {
		return nil
	}
	alone, err := moveLock.TryShare(ctx, tx)
	if err != nil || alone {
		return err
	}
	return errMoving
}

// errLost is the error for an attempt that this process may not go on with.
var errLost = errors.New("the lease of this node has run out, or another node has taken the delivery over")

// check returns nil while a job is this process's, and will be for a while: a message is
// only handed on then.
func (l *lease) check(ctx context.Context, job int64) error {
	var ours bool
	err := l.queue.db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM river_job j JOIN smimerelay_node n ON n.name = j.attempted_by[1]
		WHERE j.id = $1 AND j.state = 'running' AND n.name = $2 AND n.until > `+serverNow+` + $3)`,
		job, l.name, l.queue.config.Lease.Milliseconds()/3).Scan(&ours)
	if err == nil && !ours {
		err = errLost
	}
	return err
}

// end gives the jobs that were interrupted to the others, and the lease up.
func (l *lease) end() error {
	l.cancel()
	l.work.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), l.queue.config.Lease)
	defer cancel()
	tx, err := l.queue.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, `UPDATE river_job SET state = 'available' WHERE state = 'running' AND attempted_by[1] = $1`, l.name); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM smimerelay_node WHERE name = $1`, l.name); err != nil {
		return err
	}
	return tx.Commit()
}

// forgetNodes removes the leases that ended long ago.
func forgetNodes(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM smimerelay_node WHERE until < `+serverNow+` - 3600000`)
	return err
}
