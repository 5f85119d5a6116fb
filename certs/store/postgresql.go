package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/smimerelay/smimerelay/certs/file"
)

// connections is the most to a PostgreSQL server from one process.
const connections = 8

func (s *Store) openPostgreSQL(ctx context.Context) error {
	cfg, err := pgx.ParseConfig(s.cfg.URL)
	if err != nil {
		return fmt.Errorf("not the address of a PostgreSQL database; write postgres://USER@HOST/DATABASE: %w", err)
	}
	if s.cfg.PasswordFile != "" {
		password, err := file.ReadPrivate(s.cfg.PasswordFile, 4096)
		if err != nil {
			return err
		}
		cfg.Password = file.SecretText(password)
	}
	s.write = stdlib.OpenDB(*cfg)
	s.write.SetMaxOpenConns(connections)
	s.write.SetMaxIdleConns(connections)
	s.read = s.write
	if err := s.write.PingContext(ctx); err != nil {
		return err
	}
	return migrate(ctx, s.write, goose.DialectPostgres, goose.WithSessionLocker(advisory{}))
}

// advisory makes other nodes that open the store wait: two must not make the tables
// at once. The server unlocks when a connection breaks. (The lock that comes with
// goose tries again every few seconds.)
type advisory struct{}

// advisoryNumber is used by no other program.
const advisoryNumber = 0x736d696d655f7374

// SessionLock implements lock.SessionLocker.
func (advisory) SessionLock(ctx context.Context, c *sql.Conn) error {
	_, err := c.ExecContext(ctx, `SELECT pg_advisory_lock($1)`, int64(advisoryNumber))
	return err
}

// SessionUnlock implements lock.SessionLocker.
func (advisory) SessionUnlock(ctx context.Context, c *sql.Conn) error {
	_, err := c.ExecContext(ctx, `SELECT pg_advisory_unlock($1)`, int64(advisoryNumber))
	return err
}
