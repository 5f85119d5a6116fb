package history

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Batch is what is written in one transaction.
type Batch struct {
	Rows    []Row
	Changes []Change
}

// Write stores a batch, all of it or nothing. It returns the changes to rows that are not
// there: another node may be about to write those.
func (s *Store) Write(ctx context.Context, b Batch) (unmatched []Change, err error) {
	rows := make([]*Row, len(b.Rows))
	for i := range b.Rows {
		rows[i] = &b.Rows[i]
	}
	return s.writeRows(ctx, rows, b.Changes)
}

func (s *Store) writeRows(ctx context.Context, rows []*Row, changes []Change) (unmatched []Change, err error) {
	unmatched, err = s.writeOnce(ctx, rows, changes)
	if err != nil || len(unmatched) == 0 || !s.shared {
		return unmatched, err
	}
	// A node of an earlier release may have written the rows. The batch is stored: what fails
	// from here on is only that they are not found.
	if indexed, err := s.refer(ctx); err != nil || indexed == 0 {
		return unmatched, nil //nolint:nilerr // the caller tries these again
	}
	if rest, err := s.writeOnce(ctx, nil, unmatched); err == nil {
		return rest, nil
	}
	return unmatched, nil
}

func (s *Store) writeOnce(ctx context.Context, rows []*Row, changes []Change) (unmatched []Change, err error) {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	defer tx.Rollback()
	n := make(counts)
	if unmatched, err = s.apply(ctx, tx, rows, changes, n); err == nil {
		err = n.store(ctx, tx)
	}
	if err == nil {
		err = tx.Commit()
	}
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return unmatched, nil
}

func (s *Store) apply(ctx context.Context, tx *sql.Tx, rows []*Row, changes []Change, n counts) (unmatched []Change, err error) {
	rows, rest := merge(rows, changes)
	if err := s.insert(ctx, tx, rows, n); err != nil {
		return nil, err
	}
	missing := map[rowKey]bool{} // also if another node writes it meanwhile: its changes stay together
	for _, c := range rest {
		k := rowKey{c.ID, key(c.Recipient)}
		if !missing[k] {
			found, err := s.change(ctx, tx, c, n)
			if err != nil {
				return nil, err
			}
			missing[k] = !found
		}
		if missing[k] {
			unmatched = append(unmatched, c)
		}
	}
	return unmatched, nil
}

// rowKey names a row among those of the last messages.
type rowKey struct{ id, recipient string }

// merge makes the changes to rows that are not stored yet, in copies of them, and returns the
// others.
func merge(rows []*Row, changes []Change) (merged []*Row, rest []Change) {
	ids := make(map[string]bool, len(changes))
	for _, c := range changes {
		ids[c.ID] = true
	}
	at := map[rowKey]*Row{}
	for i, r := range rows {
		if !ids[r.ID] {
			continue
		}
		if len(at) == 0 {
			rows = slices.Clone(rows)
		}
		changed := *r
		changed.Events = slices.Clone(r.Events)
		rows[i], at[r.key()] = &changed, &changed
	}
	if len(at) == 0 {
		return rows, changes
	}
	for _, c := range changes {
		if r, ok := at[rowKey{c.ID, key(c.Recipient)}]; ok {
			r.apply(c)
		} else {
			rest = append(rest, c)
		}
	}
	return rows, rest
}

// width is how many values a row has, and perStatement how many rows are inserted at once.
const (
	width        = 21
	perStatement = 50
)

// insertStatement inserts so many rows. In SQLite, an error ends the transaction, which is all or
// nothing anyway: SQLite need not note what each page was before the statement, to undo that alone.
func (s *Store) insertStatement(rows int) string {
	if rows == perStatement {
		return s.insertFull
	}
	return s.makeInsert(rows)
}

func (s *Store) makeInsert(rows int) string {
	var b strings.Builder
	b.WriteString("INSERT ")
	if !s.shared {
		b.WriteString("OR ROLLBACK ")
	}
	b.WriteString(`INTO smimerelay_history (time, id, queue_id, message_id, listener, direction,
		sender_key, recipient_key, rule, outcome, kept, data, facts, protected_id, protected_id_ref, class, ` + refColumns + `) VALUES `)
	s.writeArguments(&b, rows, width, "", "")
	return b.String()
}

// writeArguments writes rows of what stands for arguments, each between two texts. SQLite gets
// arguments without a number: one with a number is looked up by its text among all, for each that is
// bound.
func (s *Store) writeArguments(b *strings.Builder, rows, width int, before, behind string) {
	for i := range rows * width {
		switch {
		case i%width > 0:
			b.WriteString(", ")
		case i > 0:
			b.WriteString("), (")
		default:
			b.WriteString("(")
		}
		b.WriteString(before)
		if s.shared {
			b.WriteString("$" + strconv.Itoa(i+1))
		} else {
			b.WriteString("?")
		}
		b.WriteString(behind)
	}
	b.WriteString(")")
}

func (s *Store) insert(ctx context.Context, tx *sql.Tx, rows []*Row, n counts) error {
	var in insertion
	for chunk := range slices.Chunk(rows, perStatement) {
		in.args = in.args[:0]
		for _, r := range chunk {
			if err := in.add(*r, n); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, s.insertStatement(len(chunk)), in.args...); err != nil {
			return err
		}
	}
	return nil
}

// insertion has the values of the rows of a statement, and room that is used again for the next.
type insertion struct {
	args []any
	text jsonText
}

// add adds the values of a row, in the order of insertStatement, and counts it.
func (in *insertion) add(r Row, n counts) error {
	r.clean()
	data, facts, err := r.encode(&in.text)
	if err != nil {
		return err
	}
	sender, recipient := key(r.Sender), key(r.Recipient)
	kept := r.takes(sender, recipient, data, facts)
	at := r.Time.UnixMilli()
	in.args = append(in.args, at, r.ID, r.QueueID, r.MessageID, r.Listener, r.Direction,
		sender, recipient, r.Rule, string(r.Outcome), kept, data, facts, r.ProtectedID, refOrNull(at, r.ProtectedID), r.class().number())
	of := refs(at, r.ID, r.QueueID, r.MessageID, sender, recipient)
	in.args = append(in.args, of[:]...)
	n.row(&r, 1)
	n.add(at, countBytes, "", "", kept)
	return nil
}

// overhead is about what a row takes besides its texts, with its places in the indexes.
const overhead = 260

// takes is about how many octets of the disk a row takes.
func (r *Row) takes(sender, recipient, data, facts string) int64 {
	return int64(overhead + len(r.ID) + len(r.QueueID) + len(r.MessageID) + len(r.ProtectedID) + len(sender) + len(recipient) + len(r.Outcome) +
		len(r.Listener) + len(r.Direction) + len(r.Rule) + len(data) + len(facts))
}

// change changes a row that is stored, the newest one of the message and the recipient.
func (s *Store) change(ctx context.Context, tx *sql.Tx, c Change, n counts) (found bool, err error) {
	id := text(c.ID)
	err = periods(ctx, tx, []sought{{"id", id}}, always, func(h hit) (bool, error) {
		found, err = s.changeIn(ctx, tx, h.period, id, c, n)
		return found, err
	})
	return found, err
}

// changeIn does it if the row is in a period.
func (s *Store) changeIn(ctx context.Context, tx *sql.Tx, period int64, id string, c Change, n counts) (found bool, err error) {
	statement := `SELECT ` + columns + `, octet_length(data) FROM smimerelay_history WHERE id_ref = $1 AND id = $2 AND recipient_key = $3 ORDER BY seq DESC LIMIT 1`
	if s.shared {
		statement += ` FOR UPDATE`
	}
	var before int64
	seq, r, err := scan(tx.QueryRowContext(ctx, statement, refIn(period, id), id, key(c.Recipient)), &before)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	c.Event.clean()
	n.row(&r, -1)
	outcome := r.Outcome
	r.apply(c)
	n.row(&r, 1)
	data, _, err := r.encode(&jsonText{})
	if err != nil {
		return false, err
	}
	more := int64(len(data)) - before + int64(len(r.Outcome)-len(outcome)) // as takes counts them
	n.add(r.Time.UnixMilli(), countBytes, "", "", more)
	_, err = tx.ExecContext(ctx, `UPDATE smimerelay_history SET outcome = $1, class = $2, data = $3, kept = kept + $4 WHERE seq = $5`,
		string(r.Outcome), r.class().number(), data, more, seq)
	return true, err
}

// counted is what an hour counts.
type counted struct {
	hour            int64
	kind            CountKind
	word, direction string
}

// counts are what is added to the counters of the hours.
type counts map[counted]int64

const hourMillis = 60 * 60 * 1000

func (n counts) add(at int64, kind CountKind, word, direction string, number int64) {
	n[counted{at / hourMillis, kind, word, direction}] += number
}

// row adds a row, or takes it away.
func (n counts) row(r *Row, sign int64) {
	at := r.Time.UnixMilli()
	n.add(at, CountOutcome, string(r.Outcome), r.Direction, sign)
	for _, c := range []struct {
		kind CountKind
		word string
	}{
		{CountCause, r.Cause}, {CountProtection, r.Protection}, {CountResult, r.Result}, {CountRule, r.Rule},
	} {
		if c.word != "" {
			n.add(at, c.kind, c.word, r.Direction, sign)
		}
	}
}

func (c counted) compare(o counted) int {
	return cmp.Or(cmp.Compare(c.hour, o.hour), cmp.Compare(c.kind, o.kind), cmp.Compare(c.word, o.word), cmp.Compare(c.direction, o.direction))
}

// store adds them up. They are in one order on all nodes, which would wait for each other
// in a circle otherwise.
func (n counts) store(ctx context.Context, tx *sql.Tx) error {
	for _, c := range slices.SortedFunc(maps.Keys(n), counted.compare) {
		if n[c] == 0 {
			continue
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO smimerelay_history_hour (hour, kind, word, direction, number) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (hour, kind, word, direction) DO UPDATE SET number = smimerelay_history_hour.number + excluded.number`,
			c.hour, string(c.kind), c.word, c.direction, n[c]); err != nil {
			return err
		}
	}
	return nil
}
