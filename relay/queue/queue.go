// Package queue is the durable queue: River's table of jobs on SQLite or PostgreSQL. What
// Put has accepted is on the disk, with its job, in one transaction; a worker hands it to the
// next hop, and what happened is recorded in one transaction again, bounces
// included. A crash between the two delivers a message twice and never loses
// one.
package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/smimerelay/smimerelay/internal/filesystem"
	"github.com/smimerelay/smimerelay/relay"
)

// Config says where the queue is and how it works.
type Config struct {
	Place
	// Deliverer hands messages on.
	Deliverer relay.Deliverer
	// Retry are the waits between attempts; the last repeats. Empty means
	// one, five, fifteen and thirty minutes, then an hour.
	Retry []time.Duration
	// Lifetime is how long delivery is tried; 0 is five days (RFC 5321 section
	// 4.5.4.1).
	Lifetime time.Duration
	// Workers is how many deliveries run at once; 0 is 20.
	Workers int
	// MaxSize is how many deliveries the queue holds; 0 is 100,000.
	MaxSize int
	// MinFree is how many octets of disk are left alone; 0 is 64 MiB, negative
	// is no limit.
	MinFree int64
	// Memory is the budget, in octets, for messages in work, shared with all
	// listeners; nil is no limit. Deliveries wait for it.
	Memory *relay.Memory
	// NotifyDelay is after what time senders are notified that a message is not
	// delivered yet, once; 0 is never.
	NotifyDelay time.Duration
	// Decider makes the reports that tell senders what became of recipients, which are
	// stored in the transaction that drops the recipients, and decides again on
	// messages that are held. It is never asked about messages with the null sender.
	// Nil makes no reports, and leaves what is held where it is.
	Decider relay.Decider
	// Recheck is how often that is; 0 is 15 minutes.
	Recheck time.Duration
	// Look is how often the queue looks for deliveries and held messages that are
	// due, for orders of administrators and at the generation of Decider; 0 is
	// every second. What this process stores is seen at once.
	Look time.Duration
	// Tend is how often the queue looks after itself: whether the store works,
	// and whether each delivery has a job; 0 is every 15 seconds.
	Tend time.Duration
	// Lease is, with PostgreSQL, after what time others take over the deliveries of a
	// process that does not renew its claim to them; 0 is 30 seconds.
	Lease time.Duration
	// Destination names where mail for a recipient goes: the next hop, or the domain.
	// Recipients of one destination share a delivery, and deliveries of one destination
	// that fails do not hold up others. Nil knows of none.
	Destination func(d *relay.Delivery, r relay.Recipient) string
	// Turn takes the turn of a delivery at a destination, if it is now; done ends it.
	// Otherwise done is nil, and wait how long to wait, 0 until another turn ends: the
	// delivery stands in line meanwhile, and has no worker. Nil is no limit.
	Turn func(destination string) (done func(), wait time.Duration)
	// GivenUp receives recipients who are not tried again, once that is stored; nil
	// receives none. It must not block.
	GivenUp func(d relay.Delivery, about []relay.RecipientStatus)
	// Handed is a file beside the queue for what the next hop has taken and the queue has
	// not recorded yet; "" is that of Path with .handed behind it, and none with
	// PostgreSQL.
	Handed string
	// Log is where failures go; nil is slog.Default.
	Log *slog.Logger
	// Clock tells the time; nil is time.Now.
	Clock func() time.Time

	changed func() // called when something may have changed; nil but in tests
}

// Queue stores messages and delivers them. It implements relay.Queue.
type Queue struct {
	*Store
	config Config
	lock   *os.File // nil with PostgreSQL
	handed *handed  // nil without
	lease  *lease   // nil without
	writer *writer
	keeper *keeper
	tender *tender
	health *health
	tally  tally
	// dispatcher takes jobs in the transactions of writer.
	dispatcher *dispatcher
}

func (c Config) defaults() Config {
	if len(c.Retry) == 0 {
		c.Retry = []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour}
	}
	if c.Lifetime == 0 {
		c.Lifetime = 5 * 24 * time.Hour
	}
	if c.Recheck == 0 {
		c.Recheck = 15 * time.Minute
	}
	if c.Look == 0 {
		c.Look = time.Second
	}
	if c.Tend == 0 {
		c.Tend = 15 * time.Second
	}
	if c.Lease == 0 {
		c.Lease = 30 * time.Second
	}
	if c.Workers == 0 {
		c.Workers = 20
	}
	if c.MaxSize == 0 {
		c.MaxSize = 100_000
	}
	if c.MinFree == 0 {
		c.MinFree = 64 << 20
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Turn == nil {
		c.Turn = func(string) (func(), time.Duration) { return func() {}, 0 }
	}
	if c.changed == nil {
		c.changed = func() {}
	}
	return c
}

// Open opens the queue, or makes a new one, and brings back what a crash
// interrupted. Nothing is delivered before Start.
func Open(ctx context.Context, c Config) (*Queue, error) {
	c = c.defaults()
	q := &Queue{config: c, health: &health{log: c.Log, clock: c.Clock}}
	if err := q.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("queue %q: %w", c.label(), err), q.close())
	}
	return q, nil
}

// close closes what is open.
func (q *Queue) close() (err error) {
	if q.Store != nil {
		if err = q.Store.Close(); err == nil {
			q.handed.settle() // not before what was recorded is on the disk
		}
	}
	err = errors.Join(err, q.handed.close())
	if q.lock != nil {
		err = errors.Join(err, q.lock.Close())
	}
	return err
}

// lockFile makes this process the owner of the queue.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := filesystem.GiveToFolder(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err := filesystem.TryLock(f); err != nil {
		return nil, errors.Join(fmt.Errorf("in use by another process: %w", err), f.Close())
	}
	return f, nil
}

func (q *Queue) open(ctx context.Context) (err error) {
	name := newName()
	if q.config.URL == "" {
		if q.lock, err = lockFile(q.config.Path); err != nil {
			return err
		}
		q.config.Handed = cmp.Or(q.config.Handed, q.config.Path+".handed")
	}
	if q.config.Handed != "" {
		if q.handed, err = openHanded(q.config.Handed); err != nil && q.config.URL == "" {
			return err
		} else if err != nil { // nodes on one machine may have the same path
			q.config.Log.Warn("what is under way when this process is killed is delivered twice: there are no notes of it", "error", err)
		}
	}
	if q.Store, err = openStore(ctx, q.config.Place, name, true, q.config.Log); err != nil {
		return err
	}
	if q.engine.shared {
		q.lease = newLease(q, name)
		if err := q.lease.renew(ctx); err != nil {
			return err
		}
	}
	q.dispatcher = newDispatcher(q)
	q.writer = newWriter(q.db, q.health, q.dispatcher, q.config.changed) //nolint:contextcheck // it ends with Stop
	if err := q.recover(ctx); err != nil {
		q.writer.stop()
		return err
	}
	q.keeper, q.tender = newKeeper(q), newTender(q)
	return nil
}

// recover brings back the jobs of a process that ended: those it was running or
// interrupted. What is over is removed. With PostgreSQL the jobs of other processes are
// left to them for as long as they have their lease.
func (q *Queue) recover(ctx context.Context) error {
	if !q.engine.shared {
		for _, statement := range []string{
			`UPDATE river_job SET state = 'available' WHERE state IN ('running', 'retryable', 'scheduled')`,
			`DELETE FROM river_job WHERE state IN ('completed', 'cancelled', 'discarded')`,
		} {
			if _, err := q.db.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
	}
	return q.dispatcher.findLines(ctx)
}

// Start begins to deliver, and to look after what is held. It goes on until Stop,
// whatever becomes of ctx: deliveries under way are to finish.
func (q *Queue) Start(ctx context.Context) error {
	if err := q.takeUp(ctx); err != nil {
		return fmt.Errorf("queue %q: %w", q.config.label(), err)
	}
	if q.lease != nil {
		q.lease.start()
	}
	q.dispatcher.start()
	q.keeper.start()
	q.tender.start()
	return nil
}

// takeUp takes up what the last process left: first what its notes say of its jobs, for
// they count only while the jobs are its own; then each delivery without a job that is to
// run, which is that of a process whose lease ended, or which no order of events should
// produce, and which would be lost.
func (q *Queue) takeUp(ctx context.Context) error {
	if err := q.recordHanded(ctx); err != nil {
		return err
	}
	return q.rescue(ctx, func(stray) bool { return true })
}

// Stop lets the deliveries under way finish, interrupts them when ctx is done
// first, and closes the queue. An interrupted delivery stays in it.
func (q *Queue) Stop(ctx context.Context) error {
	q.keeper.stop()
	q.tender.stop()
	q.dispatcher.stop(ctx)
	q.writer.stop()
	var err error
	if q.lease != nil {
		err = q.lease.end() //nolint:contextcheck // it is given up whatever became of ctx
	}
	return errors.Join(err, q.close())
}

// freeSpace returns how many octets the file system of path has left for us.
func freeSpace(path string) (int64, error) {
	return filesystem.Free(filepath.Dir(path))
}
