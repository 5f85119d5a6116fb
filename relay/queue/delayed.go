package queue

import (
	"context"
	"database/sql"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
)

// maxDelayed is how many delays are reported at one look.
const maxDelayed = 100

// standsInLine is the error of recipients whose delivery does.
func standsInLine() error {
	return fault.New(fault.NextHop, "too many messages for this destination: the message waits for its turn", new(relay.NotYet))
}

// reportDelays reports the delays of deliveries that stand in line: those that are tried in
// vain have theirs reported with an attempt, and these have none.
func (q *Queue) reportDelays(ctx context.Context) error {
	if q.config.NotifyDelay <= 0 {
		return nil
	}
	jobs, err := q.delayedJobs(ctx)
	for _, j := range jobs {
		if err == nil {
			err = q.reportDelay(ctx, j)
		}
	}
	return err
}

// notNotified finds in the parameters of a delivery that its sender was not notified. In a
// text that a client chose the quotes would be escaped.
const notNotified = `params NOT LIKE '%"ToldOfDelay":true%'`

// delayedJobs are the jobs that stand in line for too long, of whom the sender does not know.
func (q *Queue) delayedJobs(ctx context.Context) (all []job, err error) {
	before := q.config.Clock().Add(-q.config.NotifyDelay).UnixMilli()
	rows, err := q.db.QueryContext(ctx, `SELECT job_id, id FROM smimerelay_delivery
		WHERE lined > 0 AND created <= $1 AND job_id IS NOT NULL AND `+notNotified+` ORDER BY created LIMIT $2`, before, maxDelayed)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var j job
		if err := rows.Scan(&j.id, &j.delivery); err != nil {
			return nil, err
		}
		all = append(all, j)
	}
	return all, rows.Err()
}

// reportDelay reports the delay of a delivery that stands in line.
func (q *Queue) reportDelay(ctx context.Context, j job) error {
	share := q.config.Memory.Share()
	defer share.Release()
	s, err := withMemory(ctx, share, func(share *relay.Share) (*stored, error) { return q.load(ctx, j, share) })
	if err != nil || s == nil {
		return err
	}
	s.share = share
	a := &outcome{}
	for _, r := range s.recipients {
		a.delayed = append(a.delayed, relay.RecipientStatus{Recipient: r.Recipient, Err: standsInLine()})
	}
	if err := q.report(ctx, s, a, relay.Delayed, a.delayed); err != nil {
		s.delivery.Origin.With(q.config.Log).Error("report could not be created", "delivery", s.id, "error", err)
	}
	work := context.WithoutCancel(ctx)
	return q.writer.write(ctx, func(tx *sql.Tx) error {
		noted, err := s.noteDelayInLine(work, tx)
		if err != nil || !noted {
			return err
		}
		return q.insert(work, tx, a.reports)
	})
}

// noteDelayInLine notes that the sender was notified, and reports whether it had to be: by
// now the delivery may have its turn, and its attempt reports the delay, or another node has.
func (s *stored) noteDelayInLine(ctx context.Context, tx *sql.Tx) (bool, error) {
	params, err := s.notified()
	if err != nil {
		return false, err
	}
	res, err := tx.ExecContext(ctx, `UPDATE smimerelay_delivery SET params = $1 WHERE id = $2 AND job_id = $3 AND lined > 0 AND `+notNotified,
		params, s.id, s.job.id)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}
