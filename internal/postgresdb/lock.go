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
