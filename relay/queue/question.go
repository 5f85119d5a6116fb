package queue

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/address"
)

// asked names a recipient in the table of questions.
func asked(a address.Address) string { return a.Key(address.IgnoreCase) }

// insertQuestions stores the questions to those who were not asked a while ago, and notes
// that they are asked now: in one transaction, so that a crash asks no one twice.
func (q *Queue) insertQuestions(ctx context.Context, tx *sql.Tx, list []relay.Question) error {
	// Two nodes that ask the same people wait for each other in one order.
	list = slices.SortedFunc(slices.Values(list), func(a, b relay.Question) int {
		return strings.Compare(asked(a.Recipients[0].Address), asked(b.Recipients[0].Address))
	})
	now := q.config.Clock()
	for _, question := range list {
		if question.Asks == nil {
			return errors.New("question without a Message-ID")
		}
		res, err := tx.ExecContext(ctx, `INSERT INTO smimerelay_question (recipient, message_id, until) VALUES ($1, $2, $3)
			ON CONFLICT (recipient) DO UPDATE SET message_id = excluded.message_id, until = excluded.until
			WHERE smimerelay_question.until <= $4`,
			asked(question.Recipients[0].Address), question.Asks.MessageID, now.Add(question.Again).UnixMilli(), now.UnixMilli())
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			if err != nil {
				return err
			}
			continue
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO smimerelay_asked (recipient, message_id, until, number) VALUES ($1, $2, $3, $4)
			ON CONFLICT (recipient, message_id) DO UPDATE SET until = excluded.until, number = excluded.number`,
			asked(question.Recipients[0].Address), question.Asks.MessageID, later(now.Add(question.Again), question.Asks.Until).UnixMilli(),
			question.Asks.Number); err != nil {
			return err
		}
		if err := q.insert(ctx, tx, []relay.Delivery{question.Delivery}); err != nil {
			return err
		}
	}
	return nil
}

// Asked reports whether a recipient was asked for a certificate by the message of this
// Message-ID, and may still answer. Either table may know it: a node of an earlier release, which
// works on the same queue during an upgrade, writes into the first only.
func (s *Store) Asked(ctx context.Context, recipient address.Address, messageID string) (bool, error) {
	for _, t := range questionTables {
		var there bool
		err := s.db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM `+t.name+` WHERE recipient = $1 AND message_id = $2)`,
			asked(recipient), messageID).Scan(&there)
		if err != nil || there {
			return there, err
		}
	}
	return false, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// reportUnasked reports the failure of a question to the sender of the message that waits for the
// answer, as that sender's NOTIFY asks for it. No one else learns of it: a question has no sender to
// report to. What waits for a question with a return path is given up instead: see endQuestion.
func (q *Queue) reportUnasked(ctx context.Context, s *stored, a *outcome) error {
	asks := s.params.Asks
	if asks == nil || asks.Number != "" || len(a.failed) == 0 || q.config.Decider == nil || asks.Sender.IsNull() {
		return nil
	}
	e := relay.Event{Kind: relay.Delayed, Arrived: s.created, Until: asks.Until}
	for _, f := range a.failed {
		r := asks.Held
		r.Address = f.Recipient.Address // that of Held is missing in a question of an earlier release
		e.About = append(e.About, relay.RecipientStatus{
			Recipient: r,
			Err:       fault.New(fault.Held, "the request for a certificate could not be delivered: "+relay.ReplyFor(f.Err).Text, f.Err),
		})
	}
	d, ok, err := q.config.Decider.Report(ctx, relay.Delivery{
		Sender: asks.Sender, Params: relay.MailParams{EnvID: asks.EnvID},
		Listener: s.delivery.Listener, Origin: s.delivery.Origin, Asks: asks,
	}, e)
	if err != nil || !ok {
		return err
	}
	d.Origin = s.delivery.Origin
	if err := storable(d); err != nil {
		return err
	}
	a.reports = append(a.reports, d)
	return nil
}

// forgetQuestion has the recipient of a question that did not arrive, named as by asked, asked again
// by the next message.
func forgetQuestion(ctx context.Context, tx *sql.Tx, recipient, messageID string) error {
	for _, t := range questionTables {
		if _, err := tx.ExecContext(ctx, `DELETE FROM `+t.name+` WHERE recipient = $1 AND message_id = $2`, recipient, messageID); err != nil {
			return err
		}
	}
	return nil
}

// answerable is how long after that an answer still counts: longer than a message is held for
// which another one was asked.
const answerable = 90 * 24 * time.Hour

// forgetQuestions removes those to whom the question could be put again long ago, and the
// questions whose message was given up long ago.
func (q *Queue) forgetQuestions(ctx context.Context) error {
	now := q.config.Clock().Add(-answerable).UnixMilli()
	for _, t := range questionTables {
		var old bool
		err := q.db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM `+t.name+` WHERE until <= $1)`, now).Scan(&old)
		if err != nil {
			return err
		}
		if !old {
			continue
		}
		if err := q.writer.write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(context.WithoutCancel(ctx), `DELETE FROM `+t.name+` WHERE until <= $1`, now)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// questionTables are the notes of who was asked, and by which messages, with what a newer note
// of the same key replaces.
var questionTables = []struct {
	name, columns, values, key, set string
	width                           int // how many columns of askedNote it has
}{
	{"smimerelay_question", "recipient, message_id, until", "$1, $2, $3", "recipient", "message_id = excluded.message_id, until = excluded.until", 3},
	{"smimerelay_asked", "recipient, message_id, until, number", "$1, $2, $3, $4", "recipient, message_id", "until = excluded.until, number = excluded.number", 4},
}

// askedNote is a row of one of questionTables.
type askedNote struct {
	recipient, messageID, number string
	until                        int64
}

// loadQuestions copies the notes of who was asked from another queue, which tx reads: no
// recipient is asked again there, and answers count.
func (s *Store) loadQuestions(ctx context.Context, from *sql.Tx) error {
	for _, t := range questionTables {
		notes, err := readNotes(ctx, from, `SELECT `+t.columns+` FROM `+t.name, t.width)
		if err != nil {
			return err
		}
		statement := `INSERT INTO ` + t.name + ` (` + t.columns + `) VALUES (` + t.values + `)
			ON CONFLICT (` + t.key + `) DO UPDATE SET ` + t.set + ` WHERE ` + t.name + `.until < excluded.until`
		for part := range slices.Chunk(notes, perPart) {
			if err := s.change(ctx, func(tx *sql.Tx) error {
				for _, n := range part {
					if _, err := tx.ExecContext(ctx, statement, []any{n.recipient, n.messageID, n.until, n.number}[:t.width]...); err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				return err
			}
		}
	}
	return nil
}

func readNotes(ctx context.Context, tx *sql.Tx, query string, width int) (all []askedNote, err error) {
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var n askedNote
		if err := rows.Scan([]any{&n.recipient, &n.messageID, &n.until, &n.number}[:width]...); err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, rows.Err()
}

// moveQuestions moves the notes of who was asked into another queue.
func (s *Store) moveQuestions(ctx context.Context, to *Store) error {
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := to.loadQuestions(ctx, tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		for _, t := range questionTables {
			if _, err := tx.ExecContext(ctx, `DELETE FROM `+t.name); err != nil {
				return err
			}
		}
		return nil
	})
}
