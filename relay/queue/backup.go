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
	return target.load(ctx, source, tx, false)
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
// gateway may be working on. With onHold no delivery is attempted before Unhold.
// Interrupted, it can be run again.
func Restore(ctx context.Context, path string, to Place, onHold bool) (m Moved, err error) {
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
	if err := errors.Join(target.isIdle(ctx), target.isFresh(ctx)); err != nil {
		return m, fmt.Errorf("queue %q: %w", to.label(), err)
	}
	tx, err := source.beginSnapshot(ctx)
	if err != nil {
		return m, err
	}
	defer tx.Rollback()
	return target.load(ctx, source, tx, onHold)
}

// isFresh returns an error if there is mail that an interrupted Restore did not put there.
func (s *Store) isFresh(ctx context.Context) error {
	var all, marked int
	err := s.db.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM smimerelay_message), (SELECT count(*) FROM smimerelay_moved)`).Scan(&all, &marked)
	if err == nil && all > marked {
		err = ErrNotEmpty
	}
	return err
}

// load puts into s what tx reads of another queue.
func (s *Store) load(ctx context.Context, from *Store, tx *sql.Tx, onHold bool) (m Moved, err error) {
	ids, err := queryInts(ctx, tx, `SELECT id FROM smimerelay_message ORDER BY id`)
	if err != nil {
		return m, err
	}
	marks := make([]string, 0, len(ids))
	for _, id := range ids {
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
	return m, s.forget(ctx, marks...)
}
