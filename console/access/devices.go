package access

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// DeviceLifetime is how long a browser is known after an account has signed in with it.
const DeviceLifetime = 180 * 24 * time.Hour

// maxDevices is how many browsers are known of an account: the last ones.
const maxDevices = 20

// knownDevice reports whether an account has signed in with this browser before. It is no
// part of what proves who a client is: a known browser is asked for the same, and only
// counted and served apart from all others.
func (s *Store) knownDevice(ctx context.Context, name, device string) (bool, error) {
	if device == "" {
		return false, nil
	}
	var one int
	err := s.db.QueryRowContext(ctx, `SELECT 1 FROM console_device WHERE digest = $1 AND name = $2 AND expires > $3`, digest(device), name, s.now()).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// rememberDevice makes the secret of a browser with which an account has signed in, or
// keeps the one that it has.
func (s *Store) rememberDevice(ctx context.Context, tx *txn, name, device string) (string, error) {
	expires := s.now() + int64(DeviceLifetime.Seconds())
	kept, err := tx.ExecContext(ctx, `UPDATE console_device SET expires = $1 WHERE digest = $2 AND name = $3`, expires, digest(device), name)
	if err != nil {
		return "", err
	}
	if n, err := kept.RowsAffected(); err != nil || n > 0 {
		return device, err
	}
	device = newSecret()
	if _, err := tx.ExecContext(ctx, `INSERT INTO console_device (digest, name, expires) VALUES ($1, $2, $3)`, digest(device), name, expires); err != nil {
		return "", err
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM console_device WHERE expires <= $1 OR name = $2 AND digest NOT IN
		(SELECT digest FROM console_device WHERE name = $2 ORDER BY expires DESC, digest LIMIT $3)`, s.now(), name, maxDevices)
	return device, err
}
