package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Copy writes all mail of a queue, as it is at one moment, to the SQLite file of path,
// which it makes. The queue stays as it is, and a gateway may be working on it.
func Copy(ctx context.Context, from Place, path string) (m Moved, err error) {
	source, err := OpenStore(ctx, from)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := openOwned(ctx, Place{Path: path})
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	// In one transaction: a held message, and the one that it becomes, are never both
	// missing.
	tx, err := source.beginSnapshot(ctx)
	if err != nil {
		return m, err
	}
	defer tx.Rollback()
	return target.load(ctx, source, tx, false, &nodeGuard{})
}

// beginSnapshot begins a transaction in which all is read as it is at its beginning.
func (s *Store) beginSnapshot(ctx context.Context) (*sql.Tx, error) {
	o := &sql.TxOptions{ReadOnly: true}
	if s.engine.shared {
		o.Isolation = sql.LevelRepeatableRead
	}
	tx, err := s.db.BeginTx(ctx, o)
	if err != nil || !s.engine.shared {
		return tx, err
	}
	// Between two messages a large one is written elsewhere.
	if _, err := tx.ExecContext(ctx, `SET LOCAL idle_in_transaction_session_timeout = '10min'`); err != nil {
		return nil, errors.Join(err, tx.Rollback())
	}
	return tx, nil
}

// ErrNotEmpty is returned for a queue that would have its mail twice.
var ErrNotEmpty = errors.New("there is mail in it already; restore into an empty queue")

// Restore puts the mail that Copy wrote to the file of path into an empty queue, which no
// gateway may be working on, and none begins to before it has ended. Before the mail is
// there first restores what it needs; nil is nothing. With onHold no delivery is attempted
// before Unhold, nor one that was restored by a call that was interrupted: after that, and
// after a failure, it can be called again.
func Restore(ctx context.Context, path string, to Place, onHold bool, first func() error) (m Moved, err error) {
	source, err := OpenStore(ctx, Place{Path: path})
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := openOwned(ctx, to)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	guard, err := target.keepNodesOut(ctx)
	if err != nil {
		return m, fmt.Errorf("queue %q: %w", to.label(), err)
	}
	defer func() { err = errors.Join(err, guard.end(ctx)) }()
	tx, err := source.beginSnapshot(ctx)
	if err != nil {
		return m, err
	}
	defer tx.Rollback()
	if err := target.isFresh(ctx, source, tx); err != nil {
		return m, fmt.Errorf("queue %q: %w", to.label(), err)
	}
	if first != nil {
		if err := first(); err != nil {
			return m, err
		}
	}
	return target.load(ctx, source, tx, onHold, guard)
}

// errOther is returned where the mail of two backups would be mixed.
var errOther = errors.New("there is mail in it of another backup or queue, and bringing that was interrupted; run that command again first, or remove that mail")

// isFresh returns an error if there is mail that an interrupted Restore from the other queue,
// which tx reads, did not put there.
func (s *Store) isFresh(ctx context.Context, from *Store, tx *sql.Tx) error {
	var all int
	if err := s.db.QueryRowContext(ctx, `SELECT count(*) FROM smimerelay_message`).Scan(&all); err != nil {
		return err
	}
	marks, err := s.marks(ctx)
	switch {
	case err != nil:
		return err
	case all > len(marks):
		return ErrNotEmpty
	case all == 0 || len(marks) == 0:
		return nil
	}
	ids, err := queryInts(ctx, tx, `SELECT id FROM smimerelay_message ORDER BY id`)
	if err != nil {
		return err
	}
	for _, id := range ids {
		c, err := from.readCargoIn(ctx, tx, id)
		if err != nil {
			return fmt.Errorf("message %d: %w", id, err)
		}
		delete(marks, c.mark)
	}
	if len(marks) > 0 {
		return errOther
	}
	return nil
}

// marks are those of the messages that came from elsewhere, and may come again.
func (s *Store) marks(ctx context.Context) (map[string]bool, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT mark FROM smimerelay_moved`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	marks := map[string]bool{}
	for rows.Next() {
		var mark string
		if err := rows.Scan(&mark); err != nil {
			return nil, err
		}
		marks[mark] = true
	}
	return marks, rows.Err()
}

// load puts into s what tx reads of another queue.
func (s *Store) load(ctx context.Context, from *Store, tx *sql.Tx, onHold bool, guard *nodeGuard) (m Moved, err error) {
	ids, err := queryInts(ctx, tx, `SELECT id FROM smimerelay_message ORDER BY id`)
	if err != nil {
		return m, err
	}
	marks := make([]string, 0, len(ids))
	for _, id := range ids {
		if err := guard.check(ctx); err != nil {
			return m, err
		}
		c, err := from.readCargoIn(ctx, tx, id)
		if err != nil {
			return m, fmt.Errorf("message %d: %w", id, err)
		}
		for i := range c.deliveries {
			c.deliveries[i].onHold = c.deliveries[i].onHold || onHold
		}
		if err := s.unload(ctx, c); err != nil {
			return m, fmt.Errorf("message %d: %w", id, err)
		}
		marks = append(marks, c.mark)
		m.count(c)
	}
	if err := s.loadQuestions(ctx, tx); err != nil {
		return m, err
	}
	if onHold {
		if err := s.holdAll(ctx); err != nil {
			return m, err
		}
	}
	return m, s.forget(ctx, marks...)
}

// neverDue is when a held message is looked at that waits for an operator's order, in Unix time
// in milliseconds: in the year 9999.
const neverDue = 253402300799000

// holdAll puts all deliveries on hold, and has held mail wait for an order: those too that were
// there before.
func (s *Store) holdAll(ctx context.Context) error {
	if _, err := s.db.ExecContext(ctx, `UPDATE smimerelay_hold SET next = $1, job_order = ''`, int64(neverDue)); err != nil {
		return err
	}
	_, err := s.db.ExecContext(ctx, `UPDATE river_job SET state = 'pending' WHERE state = 'available' AND id IN (SELECT job_id FROM smimerelay_delivery)`)
	return err
}
