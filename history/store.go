package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/smimerelay/smimerelay/internal/postgresdb"
	"github.com/smimerelay/smimerelay/internal/sqlitedb"
)

// Place says where the history is.
type Place struct {
	// Path is an SQLite file, which several processes may read.
	Path string
	// URL is the address of a PostgreSQL database that several nodes share; "" is the file.
	URL string
	// Password is that for the database; "" for none, or for the one in URL.
	Password string
}

// label names the place in errors.
func (p Place) label() string {
	if p.URL != "" {
		return postgresdb.Label(p.URL)
	}
	return p.Path
}

// ErrNone: there is no history at the place.
var ErrNone = errors.New("there is no history yet")

// Store is an open history. It may be used by many goroutines at once.
type Store struct {
	read   *sql.DB // the same as write but for files
	write  *sql.DB
	shared bool // PostgreSQL
	// insertFull is the statement that is run most.
	insertFull string
}

// Open opens the history to write, and makes it where it is missing.
func Open(ctx context.Context, p Place) (*Store, error) { return open(ctx, p, true) }

// OpenExisting opens one to look into it; the error is ErrNone where there is none.
func OpenExisting(ctx context.Context, p Place) (*Store, error) {
	if p.URL == "" {
		if _, err := os.Stat(p.Path); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("history %q: %w", p.label(), ErrNone)
		}
	}
	return open(ctx, p, false)
}

func open(ctx context.Context, p Place, create bool) (*Store, error) {
	s := &Store{shared: p.URL != ""}
	s.insertFull = s.makeInsert(perStatement)
	var err error
	if s.shared {
		err = s.openPostgreSQL(ctx, p)
	} else {
		err = s.openSQLite(ctx, p.Path, create)
	}
	if err == nil {
		_, err = s.refer(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("history %q: %w", p.label(), errors.Join(err, s.Close()))
	}
	return s, nil
}

// connections is the most to a PostgreSQL server from one process.
const connections = 4

// silence is how long the database may take to send something.
const silence = 30 * time.Second

func (s *Store) openPostgreSQL(ctx context.Context, p Place) error {
	cfg, err := postgresdb.Parse(p.URL, p.Password)
	if err != nil {
		return err
	}
	cfg.RuntimeParams["idle_in_transaction_session_timeout"] = "30s"
	cfg.RuntimeParams["lock_timeout"] = "20s"
	postgresdb.Limit(cfg, silence)
	if s.write, err = postgresdb.Open(ctx, cfg, connections); err != nil {
		return err
	}
	s.read = s.write
	return layout.UpdatePostgreSQL(ctx, s.write)
}

// openSQLite opens a file that only its owner can read: the addresses of all who write
// to each other are in it.
func (s *Store) openSQLite(ctx context.Context, path string, create bool) (err error) {
	if create {
		if err := sqlitedb.Create(path); err != nil {
			return err
		}
	}
	pragmas := []string{
		// A commit need not be on the disk when it returns: what a crash of the host takes
		// is the last seconds of the history, and no mail.
		"synchronous(NORMAL)",
		// What is not kept any more is gone.
		"secure_delete(ON)",
		"temp_store(MEMORY)",
	}
	if s.write, err = sqlitedb.OpenWriter(path, pragmas...); err != nil {
		return err
	}
	if s.read, err = sqlitedb.OpenReaders(path, pragmas...); err != nil {
		return err
	}
	unlock, err := sqlitedb.LockFolder(path)
	if err != nil {
		return err
	}
	defer unlock()
	return layout.UpdateSQLite(ctx, s.write)
}

// Close ends all use of the history.
func (s *Store) Close() (err error) {
	if s.write != nil {
		err = s.write.Close()
	}
	if s.read != nil && s.read != s.write {
		err = errors.Join(s.read.Close(), err)
	}
	return err
}
