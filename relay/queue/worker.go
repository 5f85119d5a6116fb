package queue

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/guard"
	"github.com/smimerelay/smimerelay/relay"
)

// attempt makes one attempt. If the queue stops before its end is recorded, the next
// process has the job again.
func (q *Queue) attempt(ctx context.Context, j job) {
	share := q.config.Memory.Share()
	defer share.Release()
	s, err := q.read(ctx, j, share)
	switch {
	case err != nil && ctx.Err() != nil:
	case err != nil:
		q.postponeJob(ctx, j, err)
	case s == nil:
		q.insist(ctx, j, func(ctx context.Context, tx *sql.Tx) error {
			_, err := endJob(ctx, tx, j.id)
			return err
		})
	default:
		s.share = share
		results, relayed := q.deliver(relay.WithTurn(q.claim(ctx, j), j.destination), s.delivery)
		if after, ok := notYet(results); ok {
			q.standInLine(ctx, s, after)
			return
		}
		q.handed.add(j.id, results, relayed)
		q.dispatcher.noteResults(j.destination, results)
		q.record(ctx, s, results, relayed)
	}
}

// notYet reports whether nothing was tried, as no recipient's destination takes more for
// now, and after what time one may: the routes are others than when the delivery had its
// turn.
func notYet(results []error) (after time.Duration, ok bool) {
	for _, err := range results {
		n, is := errors.AsType[*relay.NotYet](err)
		if !is {
			return 0, false
		}
		after = n.After
	}
	return after, true
}

// standInLine has a delivery that was not attempted wait for its turn at the destination
// that it has by now. No attempt is counted.
func (q *Queue) standInLine(ctx context.Context, s *stored, after time.Duration) {
	destination := s.job.destination
	if q.config.Destination != nil {
		destination = q.config.Destination(&s.delivery, s.delivery.Recipients[0])
	}
	q.insist(ctx, s.job, func(ctx context.Context, tx *sql.Tx) error {
		there, err := endJob(ctx, tx, s.job.id)
		if err != nil || !there {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE smimerelay_delivery SET destination = $1, lined = $2 WHERE id = $3`,
			destination, q.config.Clock().UnixMilli(), s.id); err != nil {
			return err
		}
		q.dispatcher.line(destination, after)
		return q.enqueue(ctx, tx, s.id, priorityAfter(s.attempts), spread(lineLasts))
	})
}

// postponeJob ends a job whose delivery cannot be read, and gives the delivery
// another one for later.
func (q *Queue) postponeJob(ctx context.Context, j job, why error) {
	q.config.Log.Error("delivery could not be read from the queue; it is retried", "delivery", j.delivery, "error", why)
	if ofStore(why) {
		q.health.failed(why)
	}
	q.insist(ctx, j, func(ctx context.Context, tx *sql.Tx) error {
		there, err := endJob(ctx, tx, j.id)
		if err != nil || !there {
			return err
		}
		return q.enqueue(ctx, tx, j.delivery, retry, q.config.Retry[0])
	})
}

// insist has the end of a job recorded, however long the store fails: what the next
// hop was given must be known, or it gets it twice. It reports false if that was given
// up because ctx ended.
func (q *Queue) insist(ctx context.Context, j job, apply func(context.Context, *sql.Tx) error) bool {
	work := context.WithoutCancel(ctx)
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := q.writer.writeWithOthers(func(tx *sql.Tx) error {
			if err := apply(work, tx); err != nil {
				return err
			}
			q.dispatcher.release(j.id)
			return nil
		})
		if err == nil {
			return true
		}
		log := q.config.Log.With("delivery", j.delivery, "error", err)
		select {
		case <-ctx.Done():
			log.Error("the result of a delivery could not be recorded; the next start records it from the note of what the next hop took, or repeats the delivery where there is no note")
			return false
		case <-time.After(wait):
			log.Warn("the result of a delivery is not recorded yet")
		}
	}
}

// backoff is how long a delivery waits after so many attempts, and not all of them
// equally long: what failed together would come back together.
func (q *Queue) backoff(attempts int) time.Duration {
	return spread(q.config.Retry[min(attempts, len(q.config.Retry)-1)])
}

// pause is how long a job waits for a destination that fails.
func (q *Queue) pause() time.Duration { return spread(min(q.config.Retry[0], time.Minute)) }

// spread is a time from nine to eleven tenths of wait.
func spread(wait time.Duration) time.Duration {
	return wait - wait/10 + rand.N(wait/5+1) //nolint:gosec // G404: it spreads load, and may be guessed
}

// claim has those who deliver ask whether the job is still this process's before they
// hand the message on.
func (q *Queue) claim(ctx context.Context, j job) context.Context {
	if q.lease == nil {
		return ctx
	}
	return relay.WithClaim(ctx, func(ctx context.Context) error { return q.lease.check(ctx, j.id) })
}

// deliver asks the deliverer, and keeps it to its word: one result a recipient,
// and a panic is no result.
func (q *Queue) deliver(ctx context.Context, d relay.Delivery) (results []error, relayed []bool) {
	err := guard.Do(q.config.Log, "delivery", func() error {
		results, relayed = q.config.Deliverer.Deliver(ctx, d)
		if len(results) != len(d.Recipients) || relayed != nil && len(relayed) != len(results) {
			return fault.New(fault.Internal, "internal error, try again later", fmt.Errorf("%d results for %d recipients", len(results), len(d.Recipients)))
		}
		return nil
	})
	if err != nil {
		results, relayed = slices.Repeat([]error{err}, len(d.Recipients)), nil
	}
	return results, relayed
}

// outcome is what came of an attempt.
type outcome struct {
	// failed are given up, delayed are to be reported, relayed are through.
	failed, delayed, relayed []relay.RecipientStatus
	left                     []recipient // to try again
	reports                  []relay.Delivery
	ended                    []ended // questions
}

// record stores what happened: recipients that are through, one way or the
// other, leave, and reports enter.
func (q *Queue) record(ctx context.Context, s *stored, results []error, relayed []bool) {
	a := q.sort(s, results, relayed)
	if err := q.report(ctx, s, a, relay.Failed, a.failed); err != nil {
		// Without a report they would be lost without a word: they stay.
		s.delivery.Origin.With(q.config.Log).Error("report could not be created", "delivery", s.id, "error", err)
		a.stay(s)
	}
	for kind, about := range map[relay.EventKind][]relay.RecipientStatus{relay.Delayed: a.delayed, relay.Relayed: a.relayed} {
		if err := q.report(ctx, s, a, kind, about); err != nil {
			s.delivery.Origin.With(q.config.Log).Error("report could not be created", "delivery", s.id, "error", err)
		}
	}
	if err := q.reportUnasked(ctx, s, a); err != nil {
		s.delivery.Origin.With(q.config.Log).Error("report could not be created", "delivery", s.id, "error", err)
	}
	if q.commit(ctx, s, a) {
		q.handed.remove(s.job.id)
		q.log(ctx, s, results, a.failed, len(a.left))
		q.logEnded(a.ended)
		if q.config.GivenUp != nil && len(a.failed) > 0 {
			q.config.GivenUp(s.delivery, a.failed)
		}
	}
}

// sort tells those given up from those to try again. Their error is kept in
// left.
func (q *Queue) sort(s *stored, results []error, relayed []bool) *outcome {
	age := q.config.Clock().Sub(s.created)
	late := q.config.NotifyDelay > 0 && age >= q.config.NotifyDelay && !s.params.ToldOfDelay
	a := &outcome{}
	for i, r := range s.recipients {
		err := results[i]
		about := relay.RecipientStatus{Recipient: r.Recipient, Err: err}
		switch {
		case err == nil && relayed != nil && relayed[i]:
			a.relayed = append(a.relayed, about)
		case err == nil:
		case relay.ReplyFor(err).Code/100 == 5:
			a.failed = append(a.failed, about)
		case age >= q.config.Lifetime:
			about.Err = outOfTime(err)
			a.failed = append(a.failed, about)
		default:
			r.lastError = shown(err)
			a.left = append(a.left, r)
			if late {
				a.delayed = append(a.delayed, about)
			}
		}
	}
	return a
}

// stay leaves those in the queue who would be given up.
func (a *outcome) stay(s *stored) {
	for _, f := range a.failed {
		for _, r := range s.recipients {
			if r.Address == f.Recipient.Address {
				r.lastError = shown(f.Err)
				a.left = append(a.left, r)
			}
		}
	}
	a.failed = nil
}

// outOfTime is the error for a recipient that was tried for too long.
func outOfTime(last error) error {
	text := "delivery time expired; last reply: " + relay.ReplyFor(last).Text
	return &fault.Error{
		Kind: fault.Refused, Detail: fault.Expired, Public: text, Cause: last, Host: fault.Of(last).Host,
	}
}

// report makes the report of an event, if one was requested. A message with
// the null sender is never reported on (RFC 5321 section 6.1), and that of a question is the
// gateway itself.
func (q *Queue) report(ctx context.Context, s *stored, a *outcome, kind relay.EventKind, recipients []relay.RecipientStatus) error {
	if len(recipients) == 0 || q.config.Decider == nil || s.delivery.Sender.IsNull() || s.params.Asks != nil {
		return nil
	}
	e := relay.Event{Kind: kind, About: recipients, Arrived: s.created}
	if kind == relay.Delayed {
		e.Until = s.created.Add(q.config.Lifetime)
	}
	about, err := s.withMessage(ctx)
	if err != nil {
		return err
	}
	d, ok, err := q.config.Decider.Report(ctx, about, e)
	if err != nil || !ok {
		return err
	}
	d.Origin = s.delivery.Origin // the log joins the report to its message
	if err := storable(d); err != nil {
		return err
	}
	a.reports = append(a.reports, d)
	return nil
}

// commit writes it all down in one transaction, in which the job ends and that
// of the next attempt begins. It reports whether that is on the disk.
func (q *Queue) commit(ctx context.Context, s *stored, a *outcome) bool {
	return q.insist(ctx, s.job, func(ctx context.Context, tx *sql.Tx) error {
		there, err := endJob(ctx, tx, s.job.id)
		if s.lost = !there; err != nil || s.lost {
			return err
		}
		change := `UPDATE smimerelay_delivery SET attempts = attempts + 1 WHERE id = $1`
		if len(a.left) == 0 {
			change = `DELETE FROM smimerelay_delivery WHERE id = $1`
		}
		res, err := tx.ExecContext(ctx, change, s.id)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err // dropped by an administrator in the meantime
		}
		if err := q.insert(ctx, tx, a.reports); err != nil {
			return err
		}
		if err := q.questionFailed(ctx, tx, s, a); err != nil {
			return err
		}
		if len(a.left) == 0 {
			return q.removeMessage(ctx, tx, s.message)
		}
		if err := keep(ctx, tx, s, a.left); err != nil {
			return err
		}
		if err := s.noteDelay(ctx, tx, a); err != nil {
			return err
		}
		return q.enqueue(ctx, tx, s.id, retry, q.backoff(s.attempts))
	})
}

// noteDelay notes that the sender was notified of a delay.
func (s *stored) noteDelay(ctx context.Context, tx *sql.Tx, a *outcome) error {
	if len(a.delayed) == 0 {
		return nil
	}
	params, err := s.notified()
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE smimerelay_delivery SET params = $1 WHERE id = $2`, params, s.id)
	return err
}

// notified are the parameters of a delivery of whose delay the sender was notified.
func (s *stored) notified() (string, error) {
	params := s.params
	params.ToldOfDelay = true
	text, err := json.Marshal(params)
	return string(text), err
}

// keep leaves only the recipients in left.
func keep(ctx context.Context, tx *sql.Tx, s *stored, left []recipient) error {
	stays := map[int]bool{}
	for _, r := range left {
		stays[r.position] = true
		if _, err := tx.ExecContext(ctx, `UPDATE smimerelay_recipient SET error = $1 WHERE delivery_id = $2 AND position = $3`,
			r.lastError, s.id, r.position); err != nil {
			return err
		}
	}
	for _, r := range s.recipients {
		if stays[r.position] {
			continue
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM smimerelay_recipient WHERE delivery_id = $1 AND position = $2`,
			s.id, r.position); err != nil {
			return err
		}
	}
	return nil
}

// remove takes a delivery out, and its message with the last one.
func (s *Store) remove(ctx context.Context, tx *sql.Tx, id, message int64) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM smimerelay_delivery WHERE id = $1`, id); err != nil {
		return err
	}
	return s.removeMessage(ctx, tx, message)
}

// removeMessage takes a message out that nothing refers to any more. Other nodes wait:
// else each of two could leave it to the other.
func (s *Store) removeMessage(ctx context.Context, tx *sql.Tx, message int64) error {
	if s.engine.shared {
		if _, err := tx.ExecContext(ctx, `SELECT 1 FROM smimerelay_message WHERE id = $1 FOR UPDATE`, message); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM smimerelay_message WHERE id = $1
		AND NOT EXISTS (SELECT 1 FROM smimerelay_delivery WHERE message_id = $1)
		AND NOT EXISTS (SELECT 1 FROM smimerelay_hold WHERE message_id = $1)`, message)
	return err
}

func (q *Queue) log(ctx context.Context, s *stored, results []error, failed []relay.RecipientStatus, left int) {
	about := append(s.delivery.Origin.Attrs(), slog.Int64("delivery", s.id), slog.Int("attempt", s.attempts+1), slog.String("sender", s.delivery.Sender.String()))
	log := q.config.Log
	if s.lost {
		log.LogAttrs(ctx, slog.LevelWarn, "the result of an attempt was recorded before, or another node has taken the delivery over: the next hop may get it twice", about...)
	}
	for i, err := range results {
		if err != nil {
			log.LogAttrs(ctx, slog.LevelWarn, "not delivered", append(about,
				slog.String("recipient", s.recipients[i].Address.String()), slog.Any("error", err), slog.String("next_hop", fault.Of(err).Host))...)
		}
	}
	log.LogAttrs(ctx, slog.LevelInfo, "attempt", append(about,
		slog.Int("delivered", len(results)-len(failed)-left), slog.Int("given_up", len(failed)), slog.Int("deferred", left))...)
}
