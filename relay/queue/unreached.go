package queue

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/relay"
)

// endQuestions carries out what reports say of questions. A report on a question that is not
// known, that came back before, or that names another recipient changes nothing, so that it
// can be stored any number of times.
func (q *Queue) endQuestions(ctx context.Context, tx *sql.Tx, list []relay.Unreached) (all []ended, err error) {
	// Two nodes that have the same reports wait for each other in one order.
	list = slices.SortedFunc(slices.Values(list), func(a, b relay.Unreached) int { return strings.Compare(a.Number, b.Number) })
	// A number is never "", but that of a question without one is.
	query := `SELECT recipient, message_id FROM smimerelay_asked WHERE number = $1 AND number <> ''`
	if q.engine.shared {
		query += ` FOR UPDATE` // a node that has the same report finds the question gone
	}
	for _, u := range list {
		e := ended{why: "the request is not known, or came back before"}
		err := tx.QueryRowContext(ctx, query, u.Number).Scan(&e.recipient, &e.messageID)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, err
		}
		if err == nil {
			if e.why, e.done = unreachedBy(u, e.recipient); !e.done {
				e.why = "the report is about another recipient"
			}
		}
		if e.done {
			if err := q.endQuestion(ctx, tx, &e); err != nil {
				return nil, err
			}
		}
		all = append(all, e)
	}
	return all, nil
}

// ended is what a report on a question came to: done says that what waits for the answer is given
// up, and held how many messages that are.
type ended struct {
	recipient, messageID, why string
	done                      bool
	held                      int
}

// logEnded writes what became of questions, once that is stored.
func (q *Queue) logEnded(all []ended) {
	for _, e := range all {
		if !e.done {
			q.config.Log.Info("report on a request for a certificate changes nothing", "recipient", e.recipient, "reason", e.why)
			continue
		}
		q.config.Log.Info("request for a certificate could not be delivered", "recipient", e.recipient, "held", e.held, "reason", e.why)
	}
}

// unreachedBy says why a report has a recipient not reached. It may name another one, to whom a
// server forwarded the question, but then not as the one that was written to.
func unreachedBy(u relay.Unreached, recipient string) (why string, ok bool) {
	for _, names := range []func(relay.Unasked) bool{
		func(f relay.Unasked) bool { return asked(f.Original) == recipient },
		func(f relay.Unasked) bool { return asked(f.Final) == recipient },
		func(f relay.Unasked) bool { return f.Original.IsNull() },
	} {
		if i := slices.IndexFunc(u.Failed, names); i >= 0 {
			return u.Failed[i].Reason, true
		}
	}
	return "", false
}

// unknownReason stands for the reason that a report does not give.
const unknownReason = "the report gives no reason"

// endQuestion notes with all that waits for an answer of a recipient, named as by asked, that
// there will be none, and has it looked at: the decision on it follows from the note, in a
// transaction of its own. The next message asks again.
//
// The note of the question goes first. A message that is held meanwhile, and not asked for as the
// question is there, holds the row until it is stored: it is seen below.
func (q *Queue) endQuestion(ctx context.Context, tx *sql.Tx, e *ended) error {
	if err := forgetQuestion(ctx, tx, e.recipient, e.messageID); err != nil {
		return err
	}
	e.why = cmp.Or(strings.Join(strings.Fields(e.why), " "), unknownReason)
	waiting, err := q.waitingFor(ctx, tx, e.recipient)
	if err != nil {
		return err
	}
	e.held = len(waiting)
	for _, w := range waiting {
		for i := range w.hold.Recipients {
			if r := &w.hold.Recipients[i]; r.Asked == e.recipient {
				r.Unreached = cmp.Or(r.Unreached, e.why)
			}
		}
		text, err := json.Marshal(w.hold)
		if err != nil {
			return err
		}
		// What a restore stopped waits on for an order, and knows by then.
		if _, err := tx.ExecContext(ctx, `UPDATE smimerelay_hold SET hold = $1, next = CASE WHEN next < $2 THEN 0 ELSE next END WHERE id = $3`,
			string(text), int64(neverDue), w.id); err != nil {
			return err
		}
	}
	return nil
}

// questionFailed records that a question was given up: without a return path it counts as not
// asked, and with one it is as if a server had reported it.
func (q *Queue) questionFailed(ctx context.Context, tx *sql.Tx, s *stored, a *outcome) error {
	asks := s.params.Asks
	if asks == nil || len(a.failed) == 0 {
		return nil
	}
	e := ended{recipient: asked(s.recipients[0].Address), messageID: asks.MessageID, why: relay.ReplyFor(a.failed[0].Err).String(), done: true}
	if asks.Number == "" {
		return forgetQuestion(ctx, tx, e.recipient, e.messageID)
	}
	a.ended = []ended{e}
	return q.endQuestion(ctx, tx, &a.ended[0])
}

// waiter is a hold in which someone waits for an answer.
type waiter struct {
	id   int64
	hold storedHold
}

// waitingFor returns the holds that wait for an answer of a recipient. With PostgreSQL no
// other node can decide on them before the transaction ends.
func (q *Queue) waitingFor(ctx context.Context, tx *sql.Tx, recipient string) (all []waiter, err error) {
	name, err := json.Marshal(recipient)
	if err != nil {
		return nil, err
	}
	query := `SELECT id, hold FROM smimerelay_hold WHERE hold LIKE $1 ESCAPE '~' ORDER BY id`
	if q.engine.shared {
		query += ` FOR UPDATE`
	}
	rows, err := tx.QueryContext(ctx, query, `%"asked":`+likely.Replace(string(name))+`%`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var w waiter
		var text string
		if err := rows.Scan(&w.id, &text); err != nil {
			return nil, err
		}
		// A damaged entry can only be removed.
		if json.Unmarshal([]byte(text), &w.hold) == nil {
			all = append(all, w)
		}
	}
	return all, rows.Err()
}

// likely makes a text a pattern that it alone is like.
var likely = strings.NewReplacer("~", "~~", "%", "~%", "_", "~_")
