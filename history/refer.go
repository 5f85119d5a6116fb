package history

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// perReference is how many rows get their references or their class in one transaction.
const perReference = 1000

// lacking finds, by an index, rows that an earlier release wrote or changed.
type lacking string

// The ways in which rows lack something. What has no references is found by time only, and what has
// the class of another outcome by that one: it is mended before it is searched. What has no class is
// found all the same, by all that a search may ask for (Store.searchUnclassed), and is mended in steps.
const (
	lackReferences lacking = "id_ref IS NULL"
	lackClass      lacking = "class IS NULL"
)

// refer gives references and their class to rows without references, or with the class of another
// outcome. It returns how many it found.
func (s *Store) refer(ctx context.Context) (all int, err error) {
	for _, which := range []lacking{lackReferences, lacking(staleClass())} {
		for {
			n, err := s.referSome(ctx, which)
			if err != nil {
				return all, err
			}
			if all += n; n < perReference {
				break
			}
		}
	}
	return all, nil
}

// classify gives their class to some rows, and reports whether there may be more.
func (s *Store) classify(ctx context.Context) (more bool, err error) {
	n, err := s.referSome(ctx, lackClass)
	return n == perReference, err
}

// referSome gives references and their class to some rows.
func (s *Store) referSome(ctx context.Context, which lacking) (n int, err error) {
	tx, err := s.write.BeginTx(ctx, nil)
	if err == nil {
		defer tx.Rollback()
		if n, err = s.referIn(ctx, tx, which); err == nil {
			err = tx.Commit()
		}
	}
	if err != nil {
		return 0, fmt.Errorf("indexing its rows: %w", err)
	}
	return n, nil
}

// referWidth is how many values referStatement has for a row.
const referWidth = 7

func (s *Store) referIn(ctx context.Context, tx *sql.Tx, which lacking) (n int, err error) {
	statement := `SELECT seq, time, id, queue_id, message_id, sender_key, recipient_key, rule, listener, direction, outcome
		FROM smimerelay_history WHERE seq IN (SELECT seq FROM smimerelay_history WHERE ` + string(which) + ` LIMIT $1) ORDER BY seq`
	if s.shared {
		statement += ` FOR UPDATE` // in one order on all nodes, which would wait for each other in a circle otherwise
	}
	rows, err := tx.QueryContext(ctx, statement, perReference)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	args := make([]any, 0, perReference*referWidth)
	for rows.Next() {
		var seq, at int64
		var id, queueID, messageID, sender, recipient string
		var c class
		if err := rows.Scan(&seq, &at, &id, &queueID, &messageID, &sender, &recipient, &c.rule, &c.listener, &c.direction, &c.outcome); err != nil {
			return 0, err
		}
		r := refs(at, id, queueID, messageID, sender, recipient)
		args = append(append(args, r[:]...), c.number(), seq)
		n++
	}
	if err := rows.Err(); err != nil || n == 0 {
		return 0, err
	}
	_, err = tx.ExecContext(ctx, s.referStatement(n), args...)
	return n, err
}

// referStatement changes so many rows: a statement for each would be as many round trips.
func (s *Store) referStatement(rows int) string {
	var b strings.Builder
	b.WriteString(`UPDATE smimerelay_history SET id_ref = v.column1, queue_id_ref = v.column2, message_id_ref = v.column3,
		sender_key_ref = v.column4, recipient_key_ref = v.column5, class = v.column6 FROM (VALUES `)
	s.writeArguments(&b, rows, referWidth, "CAST(", " AS BIGINT)")
	return b.String() + `) AS v WHERE seq = v.column7`
}
