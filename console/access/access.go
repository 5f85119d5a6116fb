// Package access knows who may use the console and its API: accounts with roles,
// sessions, one-time links and API tokens, and the audit log of what they changed. It
// keeps them in SQLite or PostgreSQL.
package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/smimerelay/smimerelay/internal/passwordhash"
	"github.com/smimerelay/smimerelay/internal/postgresdb"
	"github.com/smimerelay/smimerelay/internal/schema"
	"github.com/smimerelay/smimerelay/internal/sqlitedb"
)

// Config says where the accounts are, and what holds for sessions.
type Config struct {
	// Path is an SQLite file, which is made where it is missing.
	Path string
	// URL is the address of a PostgreSQL database; "" is the file. Password is that for
	// the database, "" for none, or for the one in URL.
	URL, Password string
	// Lifetime is how long a session lasts at most, and Idle how long without a request.
	// 0 is twelve hours, and 30 minutes.
	Lifetime, Idle time.Duration
	// Clock is time.Now unless set.
	Clock func() time.Time
	// Log receives each entry of the audit log as well; slog.Default unless set.
	Log *slog.Logger
}

// Store is where accounts, sessions, tokens and the audit log are. It may be used by many
// goroutines and processes at once.
type Store struct {
	cfg           Config
	db            *sql.DB
	known, others checks            // of passwords: from known browsers, and from all others
	dummy         passwordhash.Hash // for names that are not known
}

// Open opens a store and brings its tables up to date.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Lifetime == 0 {
		cfg.Lifetime = 12 * time.Hour
	}
	if cfg.Idle == 0 {
		cfg.Idle = 30 * time.Minute
	}
	s := &Store{cfg: cfg, known: newChecks(1), others: newChecks(max(1, runtime.GOMAXPROCS(0)/2)), dummy: passwordhash.New("")}
	open, place := s.openSQLite, cfg.Path
	if cfg.URL != "" {
		open, place = s.openPostgreSQL, postgresdb.Label(cfg.URL)
	}
	if err := open(ctx); err != nil {
		if s.db != nil {
			err = errors.Join(err, s.db.Close())
		}
		return nil, fmt.Errorf("console accounts %q: %w", place, err)
	}
	s.cfg.Password = ""
	return s, nil
}

// Close ends all use of the store.
func (s *Store) Close() error { return s.db.Close() }

// connections is the most to a PostgreSQL server from one process.
const connections = 4

//go:embed migrations/*.sql
var migrations embed.FS

// tablesLock is held by a node that makes the tables.
const tablesLock postgresdb.Lock = 0x736d696d655f636f

var layout = schema.Tables{Steps: migrations, Version: "console_version", Lock: tablesLock}

func (s *Store) openPostgreSQL(ctx context.Context) error {
	cfg, err := postgresdb.Parse(s.cfg.URL, s.cfg.Password)
	if err != nil {
		return err
	}
	if s.db, err = postgresdb.Open(ctx, cfg, connections); err != nil {
		return err
	}
	return layout.UpdatePostgreSQL(ctx, s.db)
}

// openSQLite opens the file, which only its owner can read.
func (s *Store) openSQLite(ctx context.Context) (err error) {
	if err := sqlitedb.Create(s.cfg.Path); err != nil {
		return err
	}
	if s.db, err = sqlitedb.OpenWriter(s.cfg.Path, "synchronous(FULL)", "foreign_keys(1)", "secure_delete(ON)"); err != nil {
		return err
	}
	unlock, err := sqlitedb.LockFolder(s.cfg.Path)
	if err != nil {
		return err
	}
	defer unlock()
	return layout.UpdateSQLite(ctx, s.db)
}

// now is the time as it is stored.
func (s *Store) now() int64 { return s.cfg.Clock().Unix() }

// moment is a time as it was stored.
func moment(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }

// txn is a transaction with what it adds to the audit log.
type txn struct {
	*sql.Tx
	recorded []Entry
}

// change runs f in a transaction, and logs what it recorded.
func (s *Store) change(ctx context.Context, f func(*txn) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to undo
	t := &txn{Tx: tx}
	if err := f(t); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	for _, e := range t.recorded {
		s.logEntry(e)
	}
	return nil
}

// newSecret returns a random text that no client can guess: 256 bits.
func newSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // it does not fail
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// digest is how a secret is stored: who reads the store cannot show it.
func digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
