package queue

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/internal/filesystem"
	"github.com/smimerelay/smimerelay/internal/postgresdb"
	"github.com/smimerelay/smimerelay/internal/sqlitedb"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/address"
)

// Place says where a queue is.
type Place struct {
	// Path is an SQLite file. Only one process may deliver from it.
	Path string
	// URL is the address of a PostgreSQL database, postgres://USER@HOST/DATABASE, which
	// several nodes may share; "" is the file.
	URL string
	// Password is that for the database, "" for none, or for the one in URL.
	Password string
}

// label names the place in logs and errors.
func (p Place) label() string {
	if p.URL != "" {
		return postgresdb.Label(p.URL)
	}
	return p.Path
}

// Store is the queue's file or database, for looking into it and for the operator's
// hand, also while a server works on it.
type Store struct {
	db     *sql.DB
	engine engine
}

// OpenStore opens an existing queue without delivering from it.
func OpenStore(ctx context.Context, p Place) (*Store, error) {
	s, err := openStore(ctx, p, "", false, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, fmt.Errorf("queue %q: %w", p.label(), err)
	}
	return s, nil
}

// openStore opens the queue for the node of this name, and brings its tables up to date.
func openStore(ctx context.Context, p Place, node string, create bool, log *slog.Logger) (s *Store, err error) {
	if p.URL != "" {
		s, err = openPostgreSQL(ctx, p, node, log)
	} else {
		s, err = openSQLite(ctx, p.Path, create, log)
	}
	if err != nil && s != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, err
}

// connections is the most to a PostgreSQL server from one process.
const connections = 16

// silence is how long the database may take to do what it is asked. Clients wait for it.
const silence = 10 * time.Second

// openPostgreSQL connects to the database. A process that hangs in a transaction, or
// waits for one that does, gives up: others wait for it.
func openPostgreSQL(ctx context.Context, p Place, node string, log *slog.Logger) (*Store, error) {
	cfg, err := postgresdb.Parse(p.URL, p.Password)
	if err != nil {
		return nil, err
	}
	if err := makePostgreSQL(ctx, cfg, log); err != nil {
		return nil, err
	}
	cfg.RuntimeParams["idle_in_transaction_session_timeout"] = "10s"
	cfg.RuntimeParams["lock_timeout"] = "8s"
	// A lock of a session ends with it: the server notices that the host of one is gone.
	cfg.RuntimeParams["tcp_keepalives_idle"] = "10"
	cfg.RuntimeParams["tcp_keepalives_interval"] = "5"
	cfg.RuntimeParams["tcp_keepalives_count"] = "3"
	postgresdb.Limit(cfg, silence)
	db, err := postgresdb.Open(ctx, cfg, connections)
	if err != nil {
		return nil, err
	}
	return &Store{db: db, engine: postgresql(node)}, nil
}

// busyTimeout is how long a statement waits for another process.
const busyTimeout = "busy_timeout(30000)"

// openSQLite opens the file; only its owner may create it. The mail in it is for
// only its owner to read.
func openSQLite(ctx context.Context, path string, create bool, log *slog.Logger) (*Store, error) {
	flag := os.O_RDWR
	if create {
		flag |= os.O_CREATE
	}
	f, err := os.OpenFile(path, flag, 0o600)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(filesystem.GiveToFolder(f), f.Close()); err != nil {
		return nil, err
	}
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: url.Values{
		"_pragma": {
			busyTimeout,
			"journal_mode(WAL)",
			"synchronous(FULL)", // a commit is on the disk when it returns
			// 16 MB: what comes and goes meanwhile is written to the file once. The
			// tender empties the journal long before it matters how much is in it.
			"wal_autocheckpoint(4000)",
			"foreign_keys(1)",
			// What was delivered is gone: deleted rows are overwritten, and no
			// temporary file ever has them.
			"secure_delete(ON)",
			"temp_store(MEMORY)",
		},
		// River writes some times as the machine's zone has them, and compares
		// them as text with others in UTC: retries would come hours late, or
		// at once.
		"_timezone":    {"UTC"},
		"_time_format": {"sqlite"},
		// Transactions that read first and then write would deadlock.
		"_txlock": {"immediate"},
	}.Encode()}
	db, err := sqlitedb.Open(u.String())
	if err != nil {
		return nil, err
	}
	// SQLite has one writer; to queue for it here is fairer than its lock.
	db.SetMaxOpenConns(1)
	s := &Store{db: db, engine: sqlite}
	return s, makeSQLite(ctx, db, log)
}

// Close closes the file, or the connections.
func (s *Store) Close() error { return s.db.Close() }

// wipeJournal empties the write-ahead log, in which the text of messages stays
// when they are gone from the file. While another process reads there it is not
// emptied, which is no error; mail must not wait for that process either.
func (s *Store) wipeJournal(ctx context.Context) error {
	if s.engine.shared {
		return nil
	}
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, `PRAGMA busy_timeout(0)`); err != nil {
		return err
	}
	defer conn.ExecContext(context.WithoutCancel(ctx), `PRAGMA `+busyTimeout)
	var busy, size, moved int
	return conn.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &size, &moved)
}

// reconnect has the file opened again: one on a device that was away, or mounted
// again, is not the one that is open; a server that others took over from may still
// answer.
func (s *Store) reconnect() {
	if s.engine.shared {
		s.db.SetMaxIdleConns(0) // closes them
		s.db.SetMaxIdleConns(connections)
		return
	}
	conn, err := s.db.Conn(context.Background())
	if err != nil {
		return // then there is none, and the next use opens it
	}
	defer conn.Close()
	_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // drops it
}

// recipient is a stored recipient and its place in the delivery.
type recipient struct {
	relay.Recipient
	position  int
	lastError string
}

func readRecipients(ctx context.Context, tx *sql.Tx, delivery int64) ([]recipient, error) {
	all, damage, err := scanRecipients(ctx, tx, delivery)
	if err == nil {
		err = damage
	}
	if err != nil {
		return nil, err
	}
	return all, nil
}

// scanRecipients returns the recipients whose addresses can be read; damage says which cannot.
func scanRecipients(ctx context.Context, tx *sql.Tx, delivery int64) (all []recipient, damage, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT position, address, notify, original_type, original, error
		FROM smimerelay_recipient WHERE delivery_id = $1 ORDER BY position`, delivery)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var r recipient
		var addr, notify string
		if err := rows.Scan(&r.position, &addr, &notify, &r.OriginalType, &r.Original, &r.lastError); err != nil {
			return nil, nil, err
		}
		a, err := parseStored(addr)
		if err != nil {
			damage = errors.Join(damage, err)
			continue
		}
		r.Address = a
		r.Notify = splitWords(notify)
		all = append(all, r)
	}
	return all, damage, rows.Err()
}

// parseStored reads an address that we wrote.
func parseStored(s string) (address.Address, error) {
	if s == "" {
		return address.Null, nil
	}
	return address.Parse(s)
}

// queryer is a database or a transaction.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func queryInts(ctx context.Context, db queryer, query string, args ...any) ([]int64, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []int64
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, rows.Err()
}

func joinWords(words []string) string { return strings.Join(words, ",") }

func splitWords(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}
