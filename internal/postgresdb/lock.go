package postgresdb

import (
	"context"
	"database/sql"
)

// Lock makes other nodes that open the database wait: two must not make the tables at
// once. Its number is used by no other program. The server unlocks when a connection
// breaks. (The lock that comes with goose tries again every few seconds.)
type Lock int64

// SessionLock implements lock.SessionLocker of goose.
func (l Lock) SessionLock(ctx context.Context, c *sql.Conn) error {
	_, err := c.ExecContext(ctx, `SELECT pg_advisory_lock($1)`, int64(l))
	return err
}

// SessionUnlock implements lock.SessionLocker of goose.
func (l Lock) SessionUnlock(ctx context.Context, c *sql.Conn) error {
	_, err := c.ExecContext(ctx, `SELECT pg_advisory_unlock($1)`, int64(l))
	return err
}

// TrySession takes the lock for a connection, unless another has it or a share of it.
func (l Lock) TrySession(ctx context.Context, c *sql.Conn) (got bool, err error) {
	err = c.QueryRowContext(ctx, `SELECT pg_try_advisory_lock($1)`, int64(l)).Scan(&got)
	return got, err
}

// TryShare takes a share of the lock until the transaction ends, unless another has it all.
func (l Lock) TryShare(ctx context.Context, tx *sql.Tx) (got bool, err error) {
	err = tx.QueryRowContext(ctx, `SELECT pg_try_advisory_xact_lock_shared($1)`, int64(l)).Scan(&got)
	return got, err
}
