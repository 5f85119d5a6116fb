package queue

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/smimerelay/smimerelay/internal/sqlitedb"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/address"
)

// Store is the queue's file, for looking into it and for the operator's hand,
// also while a server works on it.
type Store struct{ db *sql.DB }

// OpenStore opens an existing queue without delivering from it.
func OpenStore(path string) (*Store, error) {
	s, err := openStore(path, false)
	if err != nil {
		return nil, fmt.Errorf("queue %q: %w", path, err)
	}
	// The file may be of an older version, which had fewer tables.
	if err := s.migrate(context.Background()); err != nil {
		return nil, errors.Join(fmt.Errorf("queue %q: %w", path, err), s.Close())
	}
	return s, nil
}

// busyTimeout is how long a statement waits for another process.
const busyTimeout = "busy_timeout(30000)"

// openStore opens the file; only its owner may create it. The mail in it is for
// only its owner to read.
func openStore(path string, create bool) (*Store, error) {
	flag := os.O_RDWR
	if create {
		flag |= os.O_CREATE
	}
	f, err := os.OpenFile(path, flag, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
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
	return &Store{db: db}, nil
}

// Close closes the file.
func (s *Store) Close() error { return s.db.Close() }

// migrate makes our tables.
func (s *Store) migrate(ctx context.Context) error {
	_, err := s.db.ExecContext(ctx, `
CREATE TABLE IF NOT EXISTS smimerelay_message (
	id   INTEGER PRIMARY KEY,
	data BLOB NOT NULL
);
-- A message that has no room in its row, and what follows of it in the order of the
-- numbers. The parts of a message that is gone are wiped afterwards.
CREATE TABLE IF NOT EXISTS smimerelay_large (
	message_id INTEGER PRIMARY KEY REFERENCES smimerelay_message (id) ON DELETE CASCADE,
	size       INTEGER NOT NULL, -- octets of the whole
	parts      INTEGER NOT NULL  -- by which its parts are found; never used again
);
CREATE TABLE IF NOT EXISTS smimerelay_part (
	id    INTEGER PRIMARY KEY AUTOINCREMENT,
	parts INTEGER NOT NULL,
	data  BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS smimerelay_part_parts ON smimerelay_part (parts);
CREATE TABLE IF NOT EXISTS smimerelay_wipe (parts INTEGER PRIMARY KEY); -- of messages that are gone
CREATE TRIGGER IF NOT EXISTS smimerelay_large_gone AFTER DELETE ON smimerelay_large
	BEGIN INSERT INTO smimerelay_wipe (parts) VALUES (old.parts); END;
CREATE TABLE IF NOT EXISTS smimerelay_delivery (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	message_id INTEGER NOT NULL REFERENCES smimerelay_message (id),
	job_id     INTEGER,
	sender     TEXT NOT NULL,    -- '' is the null reverse-path
	params     TEXT NOT NULL,    -- JSON of relay.MailParams
	created    INTEGER NOT NULL, -- Unix time in milliseconds
	attempts   INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS smimerelay_delivery_message ON smimerelay_delivery (message_id);
CREATE TABLE IF NOT EXISTS smimerelay_recipient (
	delivery_id   INTEGER NOT NULL REFERENCES smimerelay_delivery (id) ON DELETE CASCADE,
	position      INTEGER NOT NULL,
	address       TEXT NOT NULL,
	notify        TEXT NOT NULL, -- keywords, with commas
	original_type TEXT NOT NULL,
	original      TEXT NOT NULL,
	error         TEXT NOT NULL DEFAULT '', -- of the last attempt
	PRIMARY KEY (delivery_id, position)
) WITHOUT ROWID;
-- Messages that are held stand in tables of their own: no way of delivering knows
-- them, neither this version's nor an older one's.
CREATE TABLE IF NOT EXISTS smimerelay_hold (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	message_id INTEGER NOT NULL REFERENCES smimerelay_message (id),
	hold       TEXT NOT NULL,            -- JSON of storedHold
	until      INTEGER NOT NULL,         -- Unix time in milliseconds
	next       INTEGER NOT NULL,         -- when it is looked at again, in the same
	job_order  TEXT NOT NULL DEFAULT ''  -- JSON of relay.Order, '' for none
);
CREATE INDEX IF NOT EXISTS smimerelay_hold_message ON smimerelay_hold (message_id);
CREATE INDEX IF NOT EXISTS smimerelay_hold_next ON smimerelay_hold (next);
-- One row, of random octets: written to see whether the store can be.
CREATE TABLE IF NOT EXISTS smimerelay_probe (
	id   INTEGER PRIMARY KEY,
	data BLOB NOT NULL
);`)
	return err
}

// wipeJournal empties the write-ahead log, in which the text of messages stays
// when they are gone from the file. While another process reads there it is not
// emptied, which is no error; mail must not wait for that process either.
func (s *Store) wipeJournal(ctx context.Context) error {
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
// again, is not the one that is open.
func (s *Store) reconnect() {
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
	rows, err := tx.QueryContext(ctx, `SELECT position, address, notify, original_type, original, error
		FROM smimerelay_recipient WHERE delivery_id = ? ORDER BY position`, delivery)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []recipient
	for rows.Next() {
		var r recipient
		var addr, notify string
		if err := rows.Scan(&r.position, &addr, &notify, &r.OriginalType, &r.Original, &r.lastError); err != nil {
			return nil, err
		}
		if r.Address, err = parseStored(addr); err != nil {
			return nil, err
		}
		r.Notify = splitWords(notify)
		all = append(all, r)
	}
	return all, rows.Err()
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
