package queue

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/relay"
)

// HoldID is the number of a held message. It is written with an "h" before it,
// so that it is not taken for that of a delivery.
type HoldID int64

// String writes the id as administrators see it.
func (id HoldID) String() string { return "h" + strconv.FormatInt(int64(id), 10) }

// MarshalText writes the id as String does.
func (id HoldID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads what MarshalText wrote. The description of the API takes from the two that
// an id is text.
func (id *HoldID) UnmarshalText(text []byte) error {
	read, ok := ParseHoldID(string(text))
	if !ok {
		return fmt.Errorf("%q is not the number of a held message, such as h3", text)
	}
	*id = read
	return nil
}

// ParseHoldID reads what String wrote; ok is false for everything else.
func ParseHoldID(s string) (id HoldID, ok bool) {
	digits, ok := strings.CutPrefix(s, "h")
	n, err := strconv.ParseInt(digits, 10, 64)
	return HoldID(n), ok && err == nil && n > 0
}

// HeldEntry is one message that is held, for the operator.
type HeldEntry struct {
	ID HoldID `json:"id"`
	// Message is the gateway's identifier of the message; "" if the entry is damaged.
	Message string    `json:"message,omitempty"`
	Sender  string    `json:"sender"`
	Size    int       `json:"size"` // octets
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until"`
	Next    time.Time `json:"next"` // when it is looked at again
	// Trouble says why nothing could be decided at the last look; "" if it could.
	Trouble string `json:"trouble,omitempty"`
	// Quarantined says that an inbound rule keeps it from its recipients.
	Quarantined bool            `json:"quarantined"`
	Recipients  []HeldRecipient `json:"recipients"`
}

// HeldRecipient is a recipient who waits.
type HeldRecipient struct {
	Address string `json:"address"`
	Reason  string `json:"reason"`
}

const selectHeld = `SELECT h.id, ` + messageSize + `, h.hold, h.next
	FROM smimerelay_hold h JOIN smimerelay_message m ON m.id = h.message_id`

// Held returns what is held, oldest first.
func (s *Store) Held(ctx context.Context) ([]HeldEntry, error) {
	return s.HeldBehind(ctx, 0, math.MaxInt32)
}

// HeldBehind returns what is held and has a number behind after, oldest first, as many as
// limit at most: so it is read in parts.
func (s *Store) HeldBehind(ctx context.Context, after HoldID, limit int) ([]HeldEntry, error) {
	list := []HeldEntry{}
	rows, err := s.db.QueryContext(ctx, selectHeld+` WHERE h.id > $1 ORDER BY h.id LIMIT $2`, int64(after), limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		e, err := scanHeld(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, rows.Err()
}

func scanHeld(row interface{ Scan(...any) error }) (HeldEntry, error) {
	var e HeldEntry
	var text string
	var next int64
	if err := row.Scan(&e.ID, &e.Size, &text, &next); err != nil {
		return e, err
	}
	var h storedHold
	if err := json.Unmarshal([]byte(text), &h); err != nil {
		// The others are listed all the same, and this one can be removed.
		h.Trouble = "the entry in the queue is damaged and can only be removed: " + err.Error()
	}
	e.Message, e.Sender, e.Since, e.Until, e.Trouble, e.Quarantined = h.ID, h.Sender, h.Since.UTC(), h.Until.UTC(), h.Trouble, h.Quarantined
	e.Next, e.Recipients = time.UnixMilli(next).UTC(), []HeldRecipient{}
	for _, r := range h.Recipients {
		e.Recipients = append(e.Recipients, HeldRecipient{r.Address, r.Reason})
	}
	return e, nil
}

// ShowHeld returns a held message.
func (s *Store) ShowHeld(ctx context.Context, id HoldID) (HeldEntry, error) {
	e, err := scanHeld(s.db.QueryRowContext(ctx, selectHeld+` WHERE h.id = $1`, int64(id)))
	if err != nil {
		return HeldEntry{}, notHeld(id, err)
	}
	return e, nil
}

// WriteHeld writes a message that is held, in pieces.
func (s *Store) WriteHeld(ctx context.Context, id HoldID, w io.Writer) error {
	return notHeld(id, s.writeMessage(ctx, w, `SELECT message_id FROM smimerelay_hold WHERE id = $1`, int64(id)))
}

// Give has the keeper carry out an order now; a gateway must be working on the
// queue.
func (s *Store) Give(ctx context.Context, id HoldID, order relay.Order) error {
	text, err := json.Marshal(order)
	if err != nil {
		return err
	}
	res, err := s.db.ExecContext(ctx, `UPDATE smimerelay_hold SET next = 0, job_order = $1 WHERE id = $2`, string(text), int64(id))
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return notHeld(id, sql.ErrNoRows)
}

// DropHeld takes a held message out. No report is sent. One that is damaged can be taken out
// too, as by Drop.
func (s *Store) DropHeld(ctx context.Context, id HoldID) (d Dropped, err error) {
	err = s.change(ctx, func(tx *sql.Tx) error {
		var message int64
		var text string
		err := tx.QueryRowContext(ctx, `SELECT message_id, hold FROM smimerelay_hold WHERE id = $1`, int64(id)).Scan(&message, &text)
		if err != nil {
			return notHeld(id, err)
		}
		var h storedHold
		_ = json.Unmarshal([]byte(text), &h)
		d = Dropped{ID: h.ID, Since: h.Since}
		for _, r := range h.Recipients {
			if a, err := parseStored(r.Address); err == nil {
				d.Recipients = append(d.Recipients, a)
			}
		}
		return s.removeHold(ctx, tx, int64(id), message)
	})
	if err != nil {
		return Dropped{}, err
	}
	return d, s.wipe(ctx)
}

// inQuarantine is the condition on a hold that is in quarantine. In a string of JSON
// the quotes would have backslashes.
const inQuarantine = `hold LIKE '%"quarantined":true%'`

// Recheck has all that waits for a certificate looked at now, but for what a restore stopped.
func (s *Store) Recheck(ctx context.Context) error {
	_, err := s.db.ExecContext(ctx, `UPDATE smimerelay_hold SET next = 0 WHERE next < $1 AND NOT `+inQuarantine, int64(neverDue))
	return err
}

// HeldCount is how many messages are held.
type HeldCount struct {
	Waiting     int // for a certificate
	Quarantined int
	Oldest      time.Time // since when the first of those who wait does; zero if none does, or its entry is damaged
}

// CountHeld counts what is held.
func (s *Store) CountHeld(ctx context.Context) (HeldCount, error) {
	var n HeldCount
	err := s.db.QueryRowContext(ctx, `SELECT count(*) FILTER (WHERE NOT `+inQuarantine+`), count(*) FILTER (WHERE `+inQuarantine+`) FROM smimerelay_hold`).
		Scan(&n.Waiting, &n.Quarantined)
	if err != nil || n.Waiting == 0 {
		return n, err
	}
	var text string
	err = s.db.QueryRowContext(ctx, `SELECT hold FROM smimerelay_hold WHERE NOT `+inQuarantine+` ORDER BY id LIMIT 1`).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return n, nil // it left in the meantime
	}
	if err != nil {
		return n, err
	}
	var h storedHold
	_ = json.Unmarshal([]byte(text), &h) // the entry may be damaged, and counts all the same
	n.Oldest = h.Since
	return n, nil
}

func notHeld(id HoldID, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("held message %s: %w", id, ErrNotFound)
	}
	return err
}
