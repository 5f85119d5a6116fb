// Package store keeps certificates, and the private keys of our identities sealed
// under a key that is not in it, in SQLite or PostgreSQL: found by address,
// fingerprint, issuer and serial, and key identifier. It knows nothing of trust;
// it keeps what others found out.
//
// Several processes, and with PostgreSQL several nodes, may use one store at the
// same time. What a method reported as stored is on stable storage when it
// returns. Changes are transactions: all of one call, or nothing of it.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/smimerelay/smimerelay/internal/postgresdb"
	"github.com/smimerelay/smimerelay/smime/address"
)

// Config is what Open needs.
type Config struct {
	// URL is the path of an SQLite file, which is made where it is missing, or
	// the address of a PostgreSQL database, postgres://USER@HOST/DATABASE.
	// Empty: a store in memory, which ends with Close.
	URL string
	// PasswordFile holds the password for PostgreSQL; "" is none, or the one
	// in the URL.
	PasswordFile string
	// Key seals the private keys, KeySize octets. Nil: none can be kept or
	// read.
	Key []byte
	// LocalPart is the rule by which two addresses are the same mailbox.
	LocalPart address.LocalPart
	// Clock is time.Now unless set.
	Clock func() time.Time
	// Log is slog.Default unless set.
	Log *slog.Logger
}

// What methods return where a certificate is not as they need it.
var (
	ErrNotFound = errors.New("no such certificate in the store")
	ErrLastKey  = errors.New("this is the last key that decrypts mail to one of its addresses")
	ErrBlocked  = errors.New("the certificate is blocked: removed, it could come back without that")
	ErrNoKey    = errors.New("there is no private key of this certificate in the store")
)

// Store is an open store. It may be used by many goroutines at once.
type Store struct {
	cfg    Config
	read   *sql.DB // the same as write but for SQLite files
	write  *sql.DB
	sealer *sealer // nil without a key
	keys   *keys
	latest atomic.Int64 // generation
}

// Open opens a store and brings its tables up to date.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	s := &Store{cfg: cfg}
	if err := s.open(ctx); err != nil {
		if s.write != nil {
			err = errors.Join(err, s.Close())
		}
		return nil, &failure{fmt.Sprintf("store %q", postgresdb.Label(cfg.URL)), err}
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) (err error) {
	if s.cfg.Key != nil {
		if s.sealer, err = newSealer(s.cfg.Key); err != nil {
			return err
		}
		s.cfg.Key = nil // so that whatever prints a Store does not print it
	}
	switch {
	case s.cfg.URL == "":
		err = s.openMemory(ctx)
	case postgresdb.Is(s.cfg.URL):
		err = s.openPostgreSQL(ctx)
	default:
		err = s.openSQLite(ctx)
	}
	if err != nil {
		return err
	}
	s.keys = newKeys(s)
	return s.checkKey(ctx)
}

// Close ends all use of the store.
func (s *Store) Close() error {
	err := s.write.Close()
	if s.read != nil && s.read != s.write {
		err = errors.Join(s.read.Close(), err)
	}
	return err
}

// atOnce reads a row that is found at once. With SQLite the end of ctx ends the wait for a
// connection, and not the query: database/sql and the driver watch for it with a goroutine
// each, which takes longer than such a query does.
func (s *Store) atOnce(ctx context.Context, query string, to ...any) error {
	if postgresdb.Is(s.cfg.URL) {
		return s.read.QueryRowContext(ctx, query).Scan(to...)
	}
	c, err := s.read.Conn(ctx)
	if err != nil {
		return err
	}
	return errors.Join(c.QueryRowContext(context.WithoutCancel(ctx), query).Scan(to...), c.Close())
}

// now is the time as it is stored.
func (s *Store) now() int64 { return s.cfg.Clock().Unix() }

// stamp and moment translate times; the zero time is 0.
func stamp(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func moment(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}
