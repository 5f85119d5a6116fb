package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// copied are the tables of a history, with what Copy takes of them, in order. The number of
// a row is that of its database.
var copied = []struct{ table, columns, order string }{
	{"smimerelay_history", "time, id, queue_id, message_id, listener, direction, sender_key, recipient_key, rule, outcome, kept, data, facts, protected_id, protected_id_ref, class, " + refColumns, "seq"},
	{"smimerelay_history_hour", "hour, kind, word, direction, number", "hour, kind, word, direction"},
}

// ErrNotEmpty is returned for a history that would have its rows twice.
var ErrNotEmpty = errors.New("there are rows in it already")

// Copy puts the rows of s, as they are at one moment, into another history, which must be
// empty, and returns how many there were. After an error none is there.
func (s *Store) Copy(ctx context.Context, to *Store) (rows int64, err error) {
	o := &sql.TxOptions{ReadOnly: true}
	if s.shared {
		o.Isolation = sql.LevelRepeatableRead
	}
	from, err := s.read.BeginTx(ctx, o)
	if err != nil {
		return 0, err
	}
	defer from.Rollback()
	tx, err := to.write.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	var there bool
	if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM smimerelay_history)`).Scan(&there); err != nil {
		return 0, err
	}
	if there {
		return 0, ErrNotEmpty
	}
	for i, t := range copied {
		n, err := copyTable(ctx, from, tx, t.table, t.columns, t.order)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", t.table, err)
		}
		if i == 0 {
			rows = n
		}
	}
	return rows, tx.Commit()
}

func copyTable(ctx context.Context, from, to *sql.Tx, table, columns, order string) (n int64, err error) {
	rows, err := from.QueryContext(ctx, `SELECT `+columns+` FROM `+table+` ORDER BY `+order)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	values := make([]any, strings.Count(columns, ",")+1)
	into, places := make([]any, len(values)), make([]string, len(values))
	for i := range values {
		into[i], places[i] = &values[i], fmt.Sprintf("$%d", i+1)
	}
	insert, err := to.PrepareContext(ctx, `INSERT INTO `+table+` (`+columns+`) VALUES (`+strings.Join(places, ", ")+`)`)
	if err != nil {
		return 0, err
	}
	defer insert.Close()
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return n, err
		}
		if _, err := insert.ExecContext(ctx, values...); err != nil {
			return n, err
		}
		n++
	}
	return n, rows.Err()
}
