package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Entry is one delivery in the queue, for the operator.
type Entry struct {
	ID         int64            `json:"id"`
	Sender     string           `json:"sender"` // "" is the null reverse-path
	Size       int              `json:"size"`   // octets
	Created    time.Time        `json:"created"`
	Next       time.Time        `json:"next"` // attempt; the zero time while one is under way
	Attempts   int              `json:"attempts"`
	Recipients []EntryRecipient `json:"recipients"`
}

// EntryRecipient is a recipient that has not got the message yet.
type EntryRecipient struct {
	Address string `json:"address"`
	// Error is what the next hop said at the last attempt, "" before the first.
	Error string `json:"error"`
}

// ErrNotFound is returned for an id that is not, or no longer, in the queue.
var ErrNotFound = errors.New("not in the queue")

func (s *Store) selectEntries() string {
	return `SELECT d.id, d.sender, ` + messageSize + `, d.created, d.attempts, ` + s.engine.next + `, coalesce(CAST(j.state AS TEXT), '')
	FROM smimerelay_delivery d JOIN smimerelay_message m ON m.id = d.message_id
	LEFT JOIN river_job j ON j.id = d.job_id`
}

// List returns the deliveries in the queue, oldest first.
func (s *Store) List(ctx context.Context) ([]Entry, error) {
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	rows, err := tx.QueryContext(ctx, s.selectEntries()+` ORDER BY d.id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	entries := []Entry{}
	for rows.Next() {
		e, err := scanEntry(rows)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	for i := range entries {
		if err := fillRecipients(ctx, tx, &entries[i]); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

// Show returns a delivery and its message.
func (s *Store) Show(ctx context.Context, id int64) (Entry, []byte, error) {
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return Entry{}, nil, err
	}
	defer tx.Rollback()
	e, err := scanEntry(tx.QueryRowContext(ctx, s.selectEntries()+` WHERE d.id = $1`, id))
	if err != nil {
		return Entry{}, nil, notFound(id, err)
	}
	if err := fillRecipients(ctx, tx, &e); err != nil {
		return Entry{}, nil, err
	}
	var message int64
	if err := tx.QueryRowContext(ctx, `SELECT message_id FROM smimerelay_delivery WHERE id = $1`, id).Scan(&message); err != nil {
		return e, nil, err
	}
	text, err := readText(ctx, tx, message, e.Size)
	return e, text, err
}

// Retry has a delivery tried again now. It reports false, and changes nothing,
// while an attempt is under way.
func (s *Store) Retry(ctx context.Context, id int64) (bool, error) {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer tx.Rollback()
	var job int64
	err = tx.QueryRowContext(ctx, `SELECT coalesce(job_id, 0) FROM smimerelay_delivery WHERE id = $1`, id).Scan(&job)
	if err != nil {
		return false, notFound(id, err)
	}
	res, err := tx.ExecContext(ctx, s.engine.postpone+` AND state = 'available'`, job, 0.0)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	if err != nil || n == 0 {
		return false, err
	}
	return true, tx.Commit()
}

// Drop takes a delivery out of the queue. No report is sent.
func (s *Store) Drop(ctx context.Context, id int64) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var message int64
	err = tx.QueryRowContext(ctx, `SELECT message_id FROM smimerelay_delivery WHERE id = $1`, id).Scan(&message)
	if err != nil {
		return notFound(id, err)
	}
	// Its job finds nothing to do.
	if err := s.remove(ctx, tx, id, message); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	return s.wipe(ctx)
}

// Len returns how many deliveries are in the queue.
func (s *Store) Len(ctx context.Context) (int, error) {
	var n int
	err := s.db.QueryRowContext(ctx, `SELECT count(*) FROM smimerelay_delivery`).Scan(&n)
	return n, err
}

func scanEntry(row interface{ Scan(...any) error }) (Entry, error) {
	var e Entry
	var created, next int64
	var state string
	if err := row.Scan(&e.ID, &e.Sender, &e.Size, &created, &e.Attempts, &next, &state); err != nil {
		return e, err
	}
	e.Created = time.UnixMilli(created).UTC()
	if state != "running" && next > 0 {
		e.Next = time.Unix(next, 0).UTC()
	}
	return e, nil
}

func fillRecipients(ctx context.Context, tx *sql.Tx, e *Entry) error {
	rs, err := readRecipients(ctx, tx, e.ID)
	if err != nil {
		return err
	}
	for _, r := range rs {
		e.Recipients = append(e.Recipients, EntryRecipient{Address: r.Address.String(), Error: r.lastError})
	}
	return nil
}

func notFound(id int64, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("delivery %d: %w", id, ErrNotFound)
	}
	return err
}
