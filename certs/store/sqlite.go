package store

import (
	"context"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/pressly/goose/v3"

	"github.com/smimerelay/smimerelay/internal/filesystem"
	"github.com/smimerelay/smimerelay/internal/sqlitedb"
)

// readers are the connections to an SQLite file that only read: they do not wait
// for the one that writes.
const readers = 4

// openMemory has one connection: each would have a database of its own.
func (s *Store) openMemory(ctx context.Context) (err error) {
	if s.write, err = sqlitedb.Open(":memory:?_pragma=foreign_keys(1)"); err != nil {
		return err
	}
	s.write.SetMaxOpenConns(1)
	s.write.SetConnMaxLifetime(0)
	s.read = s.write
	return migrate(ctx, s.write, goose.DialectSQLite3)
}

// openSQLite opens a file that only its owner can read.
func (s *Store) openSQLite(ctx context.Context) (err error) {
	if err := createFile(s.cfg.URL); err != nil {
		return err
	}
	// A transaction that reads first and then writes would deadlock with
	// another one, were it not "immediate".
	if s.write, err = sqlitedb.Open(dsn(s.cfg.URL, "_txlock", "immediate")); err != nil {
		return err
	}
	// SQLite has one writer; to queue for it here is fairer than its lock.
	s.write.SetMaxOpenConns(1)
	if s.read, err = sqlitedb.Open(dsn(s.cfg.URL, "_pragma", "query_only(1)")); err != nil {
		return err
	}
	s.read.SetMaxOpenConns(readers)
	s.read.SetMaxIdleConns(readers)
	unlock, err := lockFolder(s.cfg.URL)
	if err != nil {
		return err
	}
	defer unlock()
	return migrate(ctx, s.write, goose.DialectSQLite3)
}

// dsn returns the data source name of the driver with one more parameter.
func dsn(path, key, value string) string {
	query := url.Values{"_pragma": {
		"busy_timeout(30000)",
		"journal_mode(WAL)",
		"synchronous(FULL)", // a commit is on the disk when it returns
		"foreign_keys(1)",
	}}
	query.Add(key, value)
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: query.Encode()}
	return u.String()
}

// createFile makes the file where it is missing. One that is there is not opened:
// to close it again would end the locks that SQLite, in another Store of this
// process, holds on it.
func createFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := filesystem.GiveToFolder(f); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

// lockFolder makes other processes that open a store in the same folder wait: two
// must not make the tables at once. The kernel unlocks when a process dies.
func lockFolder(path string) (unlock func(), err error) {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	if err := filesystem.Lock(dir); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return func() { dir.Close() }, nil
}
