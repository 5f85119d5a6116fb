package history

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// Message returns the rows of a message by its ID, in the order in which they were made;
// none where the history does not have it.
func (s *Store) Message(ctx context.Context, id string) ([]Row, error) {
	id = text(id)
	var all []numbered
	err := periods(ctx, s.read, []sought{{"id", id}}, always, func(h hit) (bool, error) {
		rows, err := s.find(ctx, `SELECT `+columns+` FROM smimerelay_history WHERE id_ref = $1 AND id = $2 ORDER BY seq LIMIT $3`,
			refIn(h.period, id), id, maxRecipients-len(all))
		all = append(rows, all...)
		return len(all) == maxRecipients, err
	})
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	slices.SortStableFunc(all, func(a, b numbered) int { return cmp.Compare(a.seq, b.seq) })
	var message []Row
	for _, r := range all {
		message = append(message, r.Row)
	}
	return message, nil
}

// numbered is a row with its number.
type numbered struct {
	seq int64
	Row
}

// find returns the rows of a statement that selects columns.
func (s *Store) find(ctx context.Context, statement string, args ...any) (all []numbered, err error) {
	rows, err := s.read.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		seq, r, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, numbered{seq, r})
	}
	return all, rows.Err()
}

// maxRecipients bounds what is read of one message.
const maxRecipients = 10_000
