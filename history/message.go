package history

import (
	"context"
	"fmt"
)

// Message returns the rows of a message by its ID, in the order in which they were made;
// none where the history does not have it.
func (s *Store) Message(ctx context.Context, id string) ([]Row, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT `+columns+` FROM smimerelay_history WHERE id = $1 ORDER BY seq LIMIT $2`, text(id), maxRecipients)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	defer rows.Close()
	var all []Row
	for rows.Next() {
		_, r, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
		all = append(all, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return all, nil
}

// maxRecipients bounds what is read of one message.
const maxRecipients = 10_000
