package sqlitedb

import (
	"database/sql"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/smimerelay/smimerelay/internal/filesystem"
)

// readers are the connections to a file that only read: they do not wait for the one
// that writes.
const readers = 4

// OpenWriter opens a file that several processes may use, with further pragmas for its
// connection. There is one: SQLite has one writer, and to wait for it here is fairer than
// its lock. Transactions are "immediate": one that reads first and then writes would
// deadlock with another.
func OpenWriter(path string, pragmas ...string) (*sql.DB, error) {
	db, err := Open(source(path, "_txlock", "immediate", pragmas))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

// OpenReaders opens a file to read, with further pragmas for the connections.
func OpenReaders(path string, pragmas ...string) (*sql.DB, error) {
	db, err := Open(source(path, "_pragma", "query_only(1)", pragmas))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(readers)
	db.SetMaxIdleConns(readers)
	return db, nil
}

// source is the data source name of the driver, with one more parameter.
func source(path, key, value string, pragmas []string) string {
	query := url.Values{"_pragma": append([]string{"busy_timeout(30000)", "journal_mode(WAL)"}, pragmas...)}
	query.Add(key, value)
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: query.Encode()}
	return u.String()
}

// Create makes the file where it is missing: only its owner, who is that of the folder, can
// read it. One that is there is not opened: to close it again would end the locks that
// SQLite holds on it in this process.
func Create(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(filesystem.GiveToFolder(f), f.Close())
}

// LockFolder makes other processes that open a database in the same folder wait: two must
// not make tables at once. The kernel unlocks when a process dies.
func LockFolder(path string) (unlock func(), err error) {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	if err := filesystem.Lock(dir); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return func() { dir.Close() }, nil
}
