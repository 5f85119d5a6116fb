// Package postgresdb opens PostgreSQL databases in which a commit that returned is on
// stable storage.
package postgresdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// Is reports whether a text names a PostgreSQL database and not a file.
func Is(text string) bool {
	return strings.HasPrefix(text, "postgres://") || strings.HasPrefix(text, "postgresql://")
}

// Label is the address of a database, or the name of a file, without what is secret
// in it, for logs and errors.
func Label(text string) string {
	if !Is(text) {
		return text
	}
	u, err := url.Parse(text)
	if err != nil {
		return "postgres://…"
	}
	label := url.URL{Scheme: u.Scheme, User: url.User(u.User.Username()), Host: u.Host, Path: u.Path}
	if host := u.Query().Get("host"); host != "" {
		label.RawQuery = "host=" + host
	}
	return label.String()
}

// Parse reads the address of a database. A password that is not "" replaces the one in
// the address.
func Parse(text, password string) (*pgx.ConnConfig, error) {
	cfg, err := pgx.ParseConfig(text)
	if err != nil {
		return nil, fmt.Errorf("not the address of a PostgreSQL database; write postgres://USER@HOST/DATABASE: %w", err)
	}
	if password != "" {
		cfg.Password = password
	}
	return cfg, nil
}

// Open connects to a database, by so many connections at most.
func Open(ctx context.Context, cfg *pgx.ConnConfig, connections int) (*sql.DB, error) {
	db := stdlib.OpenDB(*cfg, stdlib.OptionAfterConnect(commitToDisk))
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(refused(cfg, err), db.Close())
	}
	return db, nil
}

// commitToDisk has commits wait until they are on the disk where the server, the
// database or the user says that they need not. A stricter setting stays.
func commitToDisk(ctx context.Context, c *pgx.Conn) error {
	var setting string
	if err := c.QueryRow(ctx, `SHOW synchronous_commit`).Scan(&setting); err != nil {
		return err
	}
	if setting != "off" {
		return nil
	}
	_, err := c.Exec(ctx, `SET synchronous_commit = on`)
	return err
}
