package queue

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/riverqueue/river"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
)

// deliveryArgs are the arguments of a job: which delivery it is about.
type deliveryArgs struct {
	Delivery int64 `json:"delivery"`
}

// Kind names the job for River.
func (deliveryArgs) Kind() string { return "delivery" }

// worker runs jobs.
type worker struct {
	river.WorkerDefaults[deliveryArgs]
	queue *Queue
}

// Work makes one attempt. Its errors are those of the store; what the next hop
// says is recorded, and the job sleeps until the next attempt.
func (w *worker) Work(ctx context.Context, job *river.Job[deliveryArgs]) error {
	q := w.queue
	s, err := q.load(ctx, job.Args.Delivery)
	if err != nil || s == nil {
		return err
	}
	results := q.deliver(ctx, s.delivery)
	// What happened is recorded even when it happened at the last minute.
	wait, err := q.record(context.WithoutCancel(ctx), s, results)
	if err != nil {
		return err
	}
	if wait > 0 {
		return river.JobSnooze(wait)
	}
	return nil
}

// NextRetry is for jobs that failed beside their delivery, as when the disk was
// full.
func (w *worker) NextRetry(*river.Job[deliveryArgs]) time.Time {
	return time.Now().Add(w.queue.config.Retry[0])
}

// stored is a delivery as it is in the store.
type stored struct {
	id, message int64
	created     time.Time
	attempts    int
	recipients  []recipient
	delivery    relay.Delivery
}

// load reads a delivery; nil if it is gone, delivered or dropped.
func (q *Queue) load(ctx context.Context, id int64) (*stored, error) {
	tx, err := q.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	s := &stored{id: id}
	var sender, params string
	var created int64
	err = tx.QueryRowContext(ctx, `SELECT message_id, sender, params, created, attempts FROM smimerelay_delivery WHERE id = ?`, id).
		Scan(&s.message, &sender, &params, &created, &s.attempts)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s.created = time.UnixMilli(created)
	if s.delivery.Sender, err = parseStored(sender); err != nil {
		return nil, err
	}
	var p storedParams
	if err := json.Unmarshal([]byte(params), &p); err != nil {
		return nil, err
	}
	s.delivery.Params, s.delivery.Listener = p.MailParams, p.Listener
	if s.delivery.Message, err = readMessage(ctx, tx, s.message); err != nil {
		return nil, err
	}
	if s.recipients, err = readRecipients(ctx, tx, id); err != nil {
		return nil, err
	}
	for _, r := range s.recipients {
		s.delivery.Recipients = append(s.delivery.Recipients, r.Recipient)
	}
	return s, nil
}

// deliver asks the deliverer, and keeps it to its word: one result a recipient,
// and a panic is no result.
func (q *Queue) deliver(ctx context.Context, d relay.Delivery) (results []error) {
	defer func() {
		v := recover()
		if v != nil {
			q.config.Log.Error("panic", "at", "delivery", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		}
		if v != nil || len(results) != len(d.Recipients) {
			results = make([]error, len(d.Recipients))
			for i := range results {
				results[i] = fault.New(fault.Internal, "internal error, try again later", nil)
			}
		}
	}()
	return q.config.Deliverer.Deliver(ctx, d)
}

// record stores what happened: recipients that are through, one way or the
// other, leave, and a report of those given up enters. It returns how long to
// wait for the next attempt, 0 if there is none.
func (q *Queue) record(ctx context.Context, s *stored, results []error) (time.Duration, error) {
	failed, left := q.sort(s, results)
	report, err := q.bounce(s, failed)
	if err != nil {
		// Without a report they would be lost without a word: they stay.
		q.config.Log.Error("report not made", "delivery", s.id, "error", err)
		failed, report = nil, nil
		left = s.recipients
	}
	if err := q.commit(ctx, s, left, report); err != nil {
		return 0, err
	}
	q.log(s, results, failed, len(left))
	if len(left) == 0 {
		return 0, nil
	}
	return q.config.Retry[min(s.attempts, len(q.config.Retry)-1)], nil
}

// sort tells those given up from those to try again. Their error is kept in
// left.
func (q *Queue) sort(s *stored, results []error) (failed []relay.Refusal, left []recipient) {
	expired := q.config.Clock().Sub(s.created) >= q.config.Lifetime
	for i, r := range s.recipients {
		err := results[i]
		switch {
		case err == nil:
		case relay.ReplyFor(err).Code/100 == 5:
			failed = append(failed, relay.Refusal{Recipient: r.Recipient, Err: err})
		case expired:
			failed = append(failed, relay.Refusal{Recipient: r.Recipient, Err: outOfTime(err)})
		default:
			r.lastError = relay.ReplyFor(err).Text
			left = append(left, r)
		}
	}
	return failed, left
}

// outOfTime is the error for a recipient that was tried for too long.
func outOfTime(last error) error {
	text := "delivery time expired; the last answer was: " + relay.ReplyFor(last).Text
	return &fault.Error{
		Kind: fault.Refused, Public: text, Cause: last,
		Reply: fault.Reply{Code: 554, Enhanced: [3]int{5, 4, 7}, Text: text},
	}
}

// bounce makes the report of those given up, nil if there is none. A message
// with the null sender is never reported on (RFC 5321 section 6.1).
func (q *Queue) bounce(s *stored, failed []relay.Refusal) ([]relay.Delivery, error) {
	if len(failed) == 0 || q.config.Bounce == nil || s.delivery.Sender.IsNull() {
		return nil, nil
	}
	d, ok, err := q.config.Bounce(s.delivery, failed)
	if err != nil || !ok {
		return nil, err
	}
	return []relay.Delivery{d}, nil
}

// commit writes it all down in one transaction.
func (q *Queue) commit(ctx context.Context, s *stored, left []recipient, report []relay.Delivery) error {
	return q.writer.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE smimerelay_delivery SET attempts = attempts + 1 WHERE id = ?`, s.id)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err // dropped by hand in the meantime
		}
		if err := q.insert(ctx, tx, report); err != nil {
			return err
		}
		return keep(ctx, tx, s, left)
	})
}

// keep leaves only the recipients in left, and nothing when there is none.
func keep(ctx context.Context, tx *sql.Tx, s *stored, left []recipient) error {
	if len(left) == 0 {
		return remove(ctx, tx, s.id, s.message)
	}
	stays := map[int]bool{}
	for _, r := range left {
		stays[r.position] = true
		if _, err := tx.ExecContext(ctx, `UPDATE smimerelay_recipient SET error = ? WHERE delivery_id = ? AND position = ?`,
			r.lastError, s.id, r.position); err != nil {
			return err
		}
	}
	for _, r := range s.recipients {
		if stays[r.position] {
			continue
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM smimerelay_recipient WHERE delivery_id = ? AND position = ?`,
			s.id, r.position); err != nil {
			return err
		}
	}
	return nil
}

// remove takes a delivery out, and its message with the last one.
func remove(ctx context.Context, tx *sql.Tx, id, message int64) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM smimerelay_delivery WHERE id = ?`, id); err != nil {
		return err
	}
	return removeMessage(ctx, tx, message)
}

// removeMessage takes a message out that nothing refers to any more.
func removeMessage(ctx context.Context, tx *sql.Tx, message int64) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM smimerelay_message WHERE id = ?
		AND NOT EXISTS (SELECT 1 FROM smimerelay_delivery WHERE message_id = ?)
		AND NOT EXISTS (SELECT 1 FROM smimerelay_hold WHERE message_id = ?)`, message, message, message)
	return err
}

func (q *Queue) log(s *stored, results []error, failed []relay.Refusal, left int) {
	log := q.config.Log.With("delivery", s.id, "attempt", s.attempts+1)
	for i, err := range results {
		if err != nil {
			log.Warn("not delivered", "recipient", s.recipients[i].Address.String(), "error", err)
		}
	}
	log.Info("attempt", "delivered", len(results)-len(failed)-left, "given up", len(failed), "to try again", left)
}
