package store

import (
	"context"

	"github.com/smimerelay/smimerelay/internal/sqlitedb"
)

// openMemory has one connection: each would have a database of its own.
func (s *Store) openMemory(ctx context.Context) (err error) {
	if s.write, err = sqlitedb.Open(":memory:?_pragma=foreign_keys(1)"); err != nil {
		return err
	}
	s.write.SetMaxOpenConns(1)
	s.write.SetConnMaxLifetime(0)
	s.read = s.write
	return layout.UpdateSQLite(ctx, s.write)
}

// openSQLite opens a file that only its owner can read.
func (s *Store) openSQLite(ctx context.Context) (err error) {
	if err := sqlitedb.Create(s.cfg.URL); err != nil {
		return err
	}
	pragmas := []string{
		"synchronous(FULL)", // a commit is on the disk when it returns
		"foreign_keys(1)",
	}
	if s.write, err = sqlitedb.OpenWriter(s.cfg.URL, pragmas...); err != nil {
		return err
	}
	if s.read, err = sqlitedb.OpenReaders(s.cfg.URL, pragmas...); err != nil {
		return err
	}
	unlock, err := sqlitedb.LockFolder(s.cfg.URL)
	if err != nil {
		return err
	}
	defer unlock()
	return layout.UpdateSQLite(ctx, s.write)
}
