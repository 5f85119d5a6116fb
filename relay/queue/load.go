package queue

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/message"
)

// stored is a delivery as it is in the store.
type stored struct {
	id, message int64
	job         job // of this attempt
	created     time.Time
	attempts    int
	recipients  []recipient
	params      storedParams
	delivery    relay.Delivery
	whole       *message.Message // of a delivery in pieces, where it had to be read
	share       *relay.Share     // of the memory
	lost        bool             // the job was not this process's any more when the attempt ended
}

// row is a delivery as its rows have it, without its message.
type row struct {
	message        int64
	sender, params string
	created        int64 // Unix time in milliseconds
	attempts       int
}

// read returns the delivery of a job: as it was just stored, or by load.
func (q *Queue) read(ctx context.Context, j job, share *relay.Share) (*stored, error) {
	if j.fresh != nil && share.Reserve(deliveryFactor*int64(j.fresh.text.Size())) {
		return j.fresh.stored(j)
	}
	j.fresh = nil // its memory is not counted, and others may need it
	return withMemory(ctx, share, func(share *relay.Share) (*stored, error) { return q.load(ctx, j, share) })
}

// load reads a delivery for a job; nil if it is gone, delivered or dropped, or has
// another job by now. The memory for its message is of share.
func (q *Queue) load(ctx context.Context, j job, share *relay.Share) (*stored, error) {
	tx, err := q.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	var r row
	var size int
	err = tx.QueryRowContext(ctx, `SELECT message_id, sender, params, created, attempts, `+messageSize+`
		FROM smimerelay_delivery d JOIN smimerelay_message m ON m.id = d.message_id WHERE d.id = $1 AND job_id = $2`, j.delivery, j.id).
		Scan(&r.message, &r.sender, &r.params, &r.created, &r.attempts, &size)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	params, err := parseParams(r.params)
	if err != nil {
		return nil, err
	}
	s, err := r.stored(j, params)
	if err != nil {
		return nil, err
	}
	if err := q.loadMessage(ctx, tx, s, size, share); err != nil {
		return nil, err
	}
	recipients, err := readRecipients(ctx, tx, s.id)
	if err != nil {
		return nil, err
	}
	s.address(recipients)
	return s, nil
}

// parseParams reads the parameters of a row.
func parseParams(text string) (p storedParams, err error) {
	err = json.Unmarshal([]byte(text), &p)
	return p, err
}

// stored is what the row of the delivery of j says, whose parameters are p.
func (r *row) stored(j job, p storedParams) (*stored, error) {
	s := &stored{id: j.delivery, message: r.message, job: j, created: time.UnixMilli(r.created), attempts: r.attempts, params: p}
	var err error
	if s.delivery.Sender, err = parseStored(r.sender); err != nil {
		return nil, err
	}
	s.delivery.Params, s.delivery.Origin, s.delivery.Secret = p.MailParams, p.Origin, p.Secret
	s.delivery.Asks = p.Asks
	s.delivery.Listener, s.delivery.Direction = p.Listener, p.Direction
	return s, nil
}

// address gives s its recipients.
func (s *stored) address(recipients []recipient) {
	s.recipients = recipients
	for i := range s.recipients {
		r := &s.recipients[i]
		if r.position < len(s.params.Rules) {
			r.Rule = s.params.Rules[r.position]
		}
		s.delivery.Recipients = append(s.delivery.Recipients, r.Recipient)
	}
}

// loadMessage reads the message of a delivery, or prepares that it is read in pieces.
func (q *Queue) loadMessage(ctx context.Context, tx *sql.Tx, s *stored, size int, share *relay.Share) (err error) {
	if size >= piecesFrom {
		if err := reserve(share, piecesMemory); err != nil {
			return err
		}
		s.delivery.Stored, err = q.inPieces(ctx, tx, s.message, size, s.loadWhole(q, size))
		if err != nil || s.delivery.Stored != nil {
			return err
		}
		share.Release() // who holds some and waits for more may wait for ever
	}
	if err := reserve(share, deliveryFactor*int64(size)); err != nil {
		return err
	}
	s.delivery.Message, err = readMessage(ctx, tx, s.message, size)
	return err
}

// loadWhole is relay.Stored.Load of a message of size octets. It keeps what it has read for
// as long as the attempt lasts.
func (s *stored) loadWhole(q *Queue, size int) func(context.Context, int64) (*message.Message, error) {
	return func(ctx context.Context, parts int64) (*message.Message, error) {
		if s.whole != nil {
			return s.whole, nil
		}
		s.share.Release() // who holds some and waits for more may wait for ever
		if err := s.share.Wait(ctx, deliveryFactor*int64(size)); err != nil {
			return nil, err
		}
		tx, err := q.db.BeginTx(ctx, nil)
		if err != nil {
			return nil, err
		}
		defer tx.Rollback()
		if err := present(ctx, tx, s.message, parts); err != nil {
			return nil, err
		}
		s.whole, err = readMessage(ctx, tx, s.message, size)
		return s.whole, err
	}
}

// withMessage is the delivery with its message as a whole: the report may return it.
func (s *stored) withMessage(ctx context.Context) (relay.Delivery, error) {
	d := s.delivery
	if d.Stored == nil {
		return d, nil
	}
	m, err := d.Stored.Load(ctx)
	d.Message, d.Stored = m, nil
	return d, err
}
