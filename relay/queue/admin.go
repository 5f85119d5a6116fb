package queue

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/smimerelay/smimerelay/smime/address"
)

// Entry is one delivery in the queue, for the operator.
type Entry struct {
	ID       int64     `json:"id"`
	Status   Status    `json:"status"`
	Sender   string    `json:"sender"` // "" is the null reverse-path
	Size     int       `json:"size"`   // octets
	Created  time.Time `json:"created"`
	Next     time.Time `json:"next"` // attempt; the zero time while one is under way, on hold, or waiting for its turn
	Attempts int       `json:"attempts"`
	// Destination is where it goes: a route, or a route and a domain.
	Destination string           `json:"destination,omitempty"`
	Recipients  []EntryRecipient `json:"recipients"`
}

// EntryRecipient is a recipient that has not got the message yet.
type EntryRecipient struct {
	Address string `json:"address"`
	// Error is the reply that the last attempt ended with, and what is behind it; "" before
	// the first.
	Error string `json:"error"`
}

// ErrNotFound is returned for an id that is not, or no longer, in the queue.
var ErrNotFound = errors.New("not in the queue")

func (s *Store) selectEntries() string {
	return `SELECT d.id, d.sender, ` + messageSize + `, d.created, d.attempts, d.destination, ` + s.engine.next + `, coalesce(CAST(j.state AS TEXT), ''), d.lined
	FROM smimerelay_delivery d JOIN smimerelay_message m ON m.id = d.message_id
	LEFT JOIN river_job j ON j.id = d.job_id`
}

// List returns the deliveries that a filter chooses, oldest first.
func (s *Store) List(ctx context.Context, f Filter) ([]Entry, error) {
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	entries := []Entry{}
	for {
		part, err := s.listPart(ctx, tx, f.After)
		if err != nil || len(part) == 0 {
			return entries, err
		}
		f.After = part[len(part)-1].ID
		for _, e := range part {
			if f.matches(&e) {
				entries = append(entries, e)
			}
			if f.Limit > 0 && len(entries) == f.Limit {
				return entries, nil
			}
		}
	}
}

// perPart is how many deliveries are read at once.
const perPart = 1000

// listPart returns the deliveries behind a number, some at most.
func (s *Store) listPart(ctx context.Context, tx *sql.Tx, after int64) ([]Entry, error) {
	part, err := s.listBehind(ctx, tx, after)
	if err != nil || len(part) == 0 {
		return nil, err
	}
	return part, fillAll(ctx, tx, part)
}

func (s *Store) listBehind(ctx context.Context, tx *sql.Tx, after int64) ([]Entry, error) {
	rows, err := tx.QueryContext(ctx, s.selectEntries()+` WHERE d.id > $1 ORDER BY d.id LIMIT $2`, after, perPart)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Entry
	for rows.Next() {
		e, err := scanEntry(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, rows.Err()
}

// fillAll adds the recipients, in one reading. Those of a delivery that has come since
// are left out.
func fillAll(ctx context.Context, tx *sql.Tx, all []Entry) error {
	rows, err := tx.QueryContext(ctx, `SELECT delivery_id, address, error FROM smimerelay_recipient
		WHERE delivery_id >= $1 AND delivery_id <= $2 ORDER BY delivery_id, position`, all[0].ID, all[len(all)-1].ID)
	if err != nil {
		return err
	}
	defer rows.Close()
	for i := 0; rows.Next(); {
		var id int64
		var r EntryRecipient
		if err := rows.Scan(&id, &r.Address, &r.Error); err != nil {
			return err
		}
		for i < len(all) && all[i].ID < id {
			i++
		}
		if i < len(all) && all[i].ID == id {
			all[i].Recipients = append(all[i].Recipients, r)
		}
	}
	return rows.Err()
}

// Show returns a delivery.
func (s *Store) Show(ctx context.Context, id int64) (Entry, error) {
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return Entry{}, err
	}
	defer tx.Rollback()
	e, err := scanEntry(tx.QueryRowContext(ctx, s.selectEntries()+` WHERE d.id = $1`, id))
	if err != nil {
		return Entry{}, notFound(id, err)
	}
	one := []Entry{e}
	if err := fillAll(ctx, tx, one); err != nil {
		return Entry{}, err
	}
	return one[0], nil
}

// WriteMessage writes the message of a delivery, in pieces.
func (s *Store) WriteMessage(ctx context.Context, id int64, w io.Writer) error {
	return notFound(id, s.writeMessage(ctx, w, `SELECT message_id FROM smimerelay_delivery WHERE id = $1`, id))
}

// writeMessage writes the message that a query finds.
func (s *Store) writeMessage(ctx context.Context, w io.Writer, query string, id int64) error {
	var message, parts int64
	var size int
	err := s.db.QueryRowContext(ctx, `SELECT m.id, `+messageSize+`, coalesce((SELECT l.parts FROM smimerelay_large l WHERE l.message_id = m.id), 0)
		FROM smimerelay_message m WHERE m.id = (`+query+`)`, id).Scan(&message, &size, &parts)
	if err != nil {
		return err
	}
	return s.eachPiece(ctx, message, parts, size, func(p []byte) error {
		_, err := w.Write(p)
		return err
	})
}

// Retry has a delivery tried again now. It reports false, and changes nothing,
// while an attempt is under way, or the delivery is on hold.
func (s *Store) Retry(ctx context.Context, id int64) (bool, error) {
	return s.order(ctx, id, s.engine.postpone+` AND state = 'available'`, 0.0)
}

// Hold has nothing attempted for a delivery until Unhold. It
// reports false, and changes nothing, while an attempt is under way.
func (s *Store) Hold(ctx context.Context, id int64) (bool, error) {
	return s.order(ctx, id, `UPDATE river_job SET state = 'pending' WHERE id = $1 AND state IN ('available', 'pending')`)
}

// Unhold undoes Hold, and has the delivery attempted at once. It reports false for a delivery that is not on hold.
func (s *Store) Unhold(ctx context.Context, id int64) (bool, error) {
	return s.order(ctx, id, `UPDATE river_job SET state = 'available', scheduled_at = created_at WHERE id = $1 AND state = 'pending'`)
}

// order changes the job of a delivery by a statement, of which that is the first argument.
// It reports whether it did.
func (s *Store) order(ctx context.Context, id int64, statement string, args ...any) (done bool, err error) {
	err = s.change(ctx, func(tx *sql.Tx) error {
		var job int64
		err := tx.QueryRowContext(ctx, `SELECT coalesce(job_id, 0) FROM smimerelay_delivery WHERE id = $1`, id).Scan(&job)
		if err != nil {
			return notFound(id, err)
		}
		res, err := tx.ExecContext(ctx, statement, append([]any{job}, args...)...)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		done = n > 0
		return err
	})
	return done && err == nil, err
}

// Dropped is the part of a message that an administrator took out, for those who record what
// became of it.
type Dropped struct {
	// ID is that of the message's envelope; "" for the gateway's own mail.
	ID         string
	Recipients []address.Address
	// Since is when it came into the queue, or was held.
	Since time.Time
}

// Drop takes a delivery out of the queue. No report is sent. One that is damaged can be taken
// out too, as nothing else can be done with it: d has what can be read of it.
func (s *Store) Drop(ctx context.Context, id int64) (d Dropped, err error) {
	err = s.change(ctx, func(tx *sql.Tx) error {
		var message, created int64
		var text string
		err := tx.QueryRowContext(ctx, `SELECT message_id, params, created FROM smimerelay_delivery WHERE id = $1`, id).Scan(&message, &text, &created)
		if err != nil {
			return notFound(id, err)
		}
		var p storedParams
		_ = json.Unmarshal([]byte(text), &p)
		recipients, _, err := scanRecipients(ctx, tx, id)
		if err != nil {
			return err
		}
		d = droppedOf(&p, recipients)
		d.Since = time.UnixMilli(created)
		if p.Asks != nil && len(recipients) > 0 {
			if err := forgetQuestion(ctx, tx, asked(recipients[0].Address), p.Asks.MessageID); err != nil {
				return err
			}
		}
		// A job that is under way finds nothing to do; one on hold would stay for ever.
		if _, err := tx.ExecContext(ctx, `DELETE FROM river_job WHERE state = 'pending' AND
			id = (SELECT job_id FROM smimerelay_delivery WHERE id = $1)`, id); err != nil {
			return err
		}
		return s.remove(ctx, tx, id, message)
	})
	if err != nil {
		return Dropped{}, err
	}
	return d, s.wipe(ctx)
}

// droppedOf is what a delivery is to those who record.
func droppedOf(p *storedParams, recipients []recipient) (d Dropped) {
	if p.Direction == "" {
		return d
	}
	d.ID = p.Origin.ID
	for _, r := range recipients {
		d.Recipients = append(d.Recipients, r.Address)
	}
	return d
}

// change makes a change in a transaction, and again where it was in the way of a node or of
// another administrator.
func (s *Store) change(ctx context.Context, do func(*sql.Tx) error) (err error) {
	for range tries {
		if err = s.changeOnce(ctx, do); !inConflict(err) {
			break
		}
	}
	return err
}

func (s *Store) changeOnce(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// Len returns how many deliveries are in the queue.
func (s *Store) Len(ctx context.Context) (int, error) {
	var n int
	err := s.db.QueryRowContext(ctx, `SELECT count(*) FROM smimerelay_delivery`).Scan(&n)
	return n, err
}

func scanEntry(row interface{ Scan(...any) error }) (Entry, error) {
	var e Entry
	var created, next, lined int64
	var state string
	if err := row.Scan(&e.ID, &e.Sender, &e.Size, &created, &e.Attempts, &e.Destination, &next, &state, &lined); err != nil {
		return e, err
	}
	e.Created = time.UnixMilli(created).UTC()
	switch {
	case state == "running":
		e.Status = Active
	case state == "pending":
		e.Status = OnHold
	case lined > 0:
		e.Status = Waiting
	case e.Attempts == 0:
		e.Status = New
	default:
		e.Status = Deferred
	}
	if (e.Status == New || e.Status == Deferred) && next > 0 {
		e.Next = time.Unix(next, 0).UTC()
	}
	return e, nil
}

func notFound(id int64, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("delivery %d: %w", id, ErrNotFound)
	}
	return err
}
