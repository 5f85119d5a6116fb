package queue

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/postgresdb"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Put implements relay.Queue. When it returns nil the batch is on the disk: SQLite has
// synced the commit (synchronous=FULL), or PostgreSQL has (synchronous_commit). A full
// queue or disk is a fault.Capacity.
func (q *Queue) Put(ctx context.Context, b relay.Batch) error {
	if b.Empty() {
		return nil
	}
	if err := q.room(); err != nil {
		return err
	}
	// The end of ctx in the middle of a statement would undo what others have
	// in the same transaction.
	work := context.WithoutCancel(ctx)
	var done []ended
	err := q.writer.write(ctx, func(tx *sql.Tx) error {
		if err := q.lease.mayStore(work, tx); err != nil {
			return err
		}
		more := len(b.Copies) + len(b.Notices) + len(b.Holds()) + len(b.Questions)
		if err := q.checkSize(work, tx, more); err != nil {
			return err
		}
		if err := q.insert(work, tx, slices.Concat(b.Copies, b.Notices)); err != nil {
			return err
		}
		for _, h := range b.Holds() {
			if err := q.insertHold(work, tx, h); err != nil {
				return err
			}
		}
		if err := q.insertQuestions(work, tx, b.Questions); err != nil {
			return err
		}
		var err error
		done, err = q.endQuestions(work, tx, b.Unreached)
		return err
	})
	if err == nil {
		q.logEnded(done)
	}
	return asFault(err)
}

var _ relay.Queue = (*Queue)(nil)

// room refuses mail while there is still disk enough to deliver what is there.
func (q *Queue) room() error {
	if q.config.MinFree < 0 || q.engine.shared {
		return nil
	}
	free, err := freeSpace(q.config.Path)
	if err != nil {
		return fault.Of(err)
	}
	if free < q.config.MinFree {
		return fault.New(fault.Capacity, "insufficient system storage, try again later", nil)
	}
	return nil
}

// selectSize counts what queue.max_size limits.
const selectSize = `SELECT (SELECT count(*) FROM smimerelay_delivery) + (SELECT count(*) FROM smimerelay_hold)`

// size returns how much of it there is.
func (s *Store) size(ctx context.Context) (int, error) {
	var n int
	err := s.db.QueryRowContext(ctx, selectSize).Scan(&n)
	return n, err
}

// tally is how much is in the queue, as it was counted, with all that was stored since.
// Only the writer uses it. Counting takes as long as the queue is.
type tally struct {
	n  int
	at time.Time
}

// tallyLasts is how long the tally stands: other nodes store too.
const tallyLasts = time.Second

// checkSize refuses what the queue has no room for.
func (q *Queue) checkSize(ctx context.Context, tx *sql.Tx, more int) error {
	t, now := &q.tally, q.config.Clock()
	if t.n+more > q.config.MaxSize || now.Sub(t.at) >= tallyLasts || now.Before(t.at) {
		if err := tx.QueryRowContext(ctx, selectSize).Scan(&t.n); err != nil {
			return err
		}
		t.at = now
	}
	if t.n+more > q.config.MaxSize {
		return fault.New(fault.Capacity, "queue full, try again later", nil)
	}
	t.n += more
	return nil
}

// insert stores deliveries and their jobs. Copies that share a message share
// its row.
func (q *Queue) insert(ctx context.Context, tx *sql.Tx, ds []relay.Delivery) error {
	stored := map[*message.Message]int64{}
	for _, d := range ds {
		if err := storable(d); err != nil {
			return err
		}
		body, ok := stored[d.Message]
		if !ok {
			var err error
			if body, err = q.insertMessage(ctx, tx, d.Message); err != nil {
				return err
			}
			stored[d.Message] = body
		}
		for _, part := range q.parts(d) {
			if err := q.insertDelivery(ctx, tx, part.Delivery, part.destination, body); err != nil {
				return err
			}
		}
	}
	return nil
}

// part is a delivery to one destination.
type part struct {
	relay.Delivery
	destination string
}

// parts divides a delivery by where its recipients' mail goes, so that a destination
// that fails holds up its own only.
func (q *Queue) parts(d relay.Delivery) []part {
	if q.config.Destination == nil {
		return []part{{Delivery: d}}
	}
	var parts []part
	for _, r := range d.Recipients {
		name := q.config.Destination(&d, r)
		i := slices.IndexFunc(parts, func(p part) bool { return p.destination == name })
		if i < 0 {
			i = len(parts)
			parts = append(parts, part{d, name})
			parts[i].Recipients = nil
		}
		parts[i].Recipients = append(parts[i].Recipients, r)
	}
	return parts
}

// storable refuses what could never be delivered.
func storable(d relay.Delivery) error {
	if d.Message == nil || len(d.Recipients) == 0 {
		return errors.New("delivery without a message or without recipients")
	}
	return nil
}

func (q *Queue) insertDelivery(ctx context.Context, tx *sql.Tx, d relay.Delivery, destination string, body int64) error {
	stored := storedParams{
		MailParams: d.Params, Listener: d.Listener, Direction: d.Direction, Rules: rulesOf(d), Origin: d.Origin, Secret: d.Secret, Asks: d.Asks,
	}
	params, err := json.Marshal(stored)
	if err != nil {
		return err
	}
	var wait time.Duration
	now, lined := q.config.Clock().UnixMilli(), int64(0)
	switch {
	case q.dispatcher.lined(destination):
		wait, lined = spread(lineLasts), now
	case q.dispatcher.crowded(destination):
		wait = q.pause()
	}
	if q.engine.deliver != "" {
		return q.insertAtOnce(ctx, tx, d, body, d.Sender.String(), string(params), now, destination, lined, kind, math.MaxInt16, firstAttempt, wait.Seconds())
	}
	job, err := q.insertRow(ctx, tx, q.engine.enqueueNext, kind, math.MaxInt16, firstAttempt, wait.Seconds())
	if err != nil {
		return err
	}
	id, err := q.insertRow(ctx, tx,
		`INSERT INTO smimerelay_delivery (message_id, job_id, sender, params, created, destination, lined) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		body, job, d.Sender.String(), string(params), now, destination, lined)
	if err != nil {
		return err
	}
	for i, r := range d.Recipients {
		_, err := tx.ExecContext(ctx, `INSERT INTO smimerelay_recipient
			(delivery_id, position, address, notify, original_type, original) VALUES ($1, $2, $3, $4, $5, $6)`,
			id, i, r.Address.String(), joinWords(r.Notify), postgresdb.Text(r.OriginalType), postgresdb.Text(r.Original))
		if err != nil {
			return err
		}
	}
	if wait == 0 {
		q.dispatcher.keepFresh(job, &fresh{
			row:      row{message: body, sender: d.Sender.String(), params: string(params), created: now},
			delivery: id, params: stored, to: slices.Clone(d.Recipients), text: d.Message,
		})
	}
	return nil
}

// insertAtOnce stores a delivery by one statement: args are all its arguments but those of
// the recipients.
func (q *Queue) insertAtOnce(ctx context.Context, tx *sql.Tx, d relay.Delivery, args ...any) error {
	var addresses, notifies, types, originals []string
	for _, r := range d.Recipients {
		addresses, notifies = append(addresses, r.Address.String()), append(notifies, joinWords(r.Notify))
		types, originals = append(types, postgresdb.Text(r.OriginalType)), append(originals, postgresdb.Text(r.Original))
	}
	_, err := tx.ExecContext(ctx, q.engine.deliver, append(args, addresses, notifies, types, originals)...)
	return err
}

// storedParams is what is stored of a delivery beside its addresses.
type storedParams struct {
	relay.MailParams
	Listener  string        `json:",omitempty"`
	Direction string        `json:",omitempty"`
	Rules     []string      `json:",omitempty"` // of the recipients, by position
	Origin    relay.Origin  `json:",omitzero"`
	Secret    *relay.Secret `json:",omitempty"`
	Asks      *relay.Asks   `json:",omitempty"`
	// ToldOfDelay says that the sender was notified.
	ToldOfDelay bool `json:",omitempty"`
}

// rulesOf returns the rules that decided on the recipients; nil where none did.
func rulesOf(d relay.Delivery) []string {
	rules, any := make([]string, len(d.Recipients)), false
	for i, r := range d.Recipients {
		rules[i], any = r.Rule, any || r.Rule != ""
	}
	if !any {
		return nil
	}
	return rules
}

// insertRow inserts a row and returns its number. SQLite knows that by itself, and would make
// a table for what the statement returns.
func (s *Store) insertRow(ctx context.Context, tx *sql.Tx, query string, args ...any) (id int64, err error) {
	if s.engine.shared {
		err = tx.QueryRowContext(ctx, query+` RETURNING id`, args...).Scan(&id)
		return id, err
	}
	res, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.LastInsertId()
}

// asFault says what an error of the store means to the peer. All of them are
// temporary; a full disk has a code of its own.
func asFault(err error) error {
	if err == nil {
		return nil
	}
	if isFull(err) {
		return fault.New(fault.Capacity, "insufficient system storage, try again later", err)
	}
	return fault.Of(err)
}
