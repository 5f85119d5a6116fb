package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/smimerelay/smimerelay/certs"
)

// connections is the most to a PostgreSQL server from one process.
const connections = 8

func (s *Store) openPostgreSQL(ctx context.Context) error {
	cfg, err := pgx.ParseConfig(s.cfg.URL)
	if err != nil {
		return fmt.Errorf("not the address of a PostgreSQL database; write postgres://USER@HOST/DATABASE: %w", err)
	}
	if s.cfg.PasswordFile != "" {
		password, err := certs.ReadPrivate(s.cfg.PasswordFile, 4096)
		if err != nil {
			return err
		}
		cfg.Password = strings.TrimRight(string(password), "\r\n")
	}
	s.write = stdlib.OpenDB(*cfg)
	s.write.SetMaxOpenConns(connections)
	s.write.SetMaxIdleConns(connections)
	s.read = s.write
	// Two nodes must not make the tables at once.
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return err
	}
	return migrate(ctx, s.write, goose.DialectPostgres, goose.WithSessionLocker(locker))
}
