package history

import (
	"context"
	"fmt"
	"time"
)

// Decisions calls do for each message whose rows are from since to before until, oldest
// first, with all its rows in one direction and their facts. An error of do ends it.
func (s *Store) Decisions(ctx context.Context, since, until time.Time, do func([]Row) error) error {
	rows, err := s.read.QueryContext(ctx, `SELECT `+columns+`, facts FROM smimerelay_history
		WHERE time >= $1 AND time < $2 ORDER BY time, id, direction, seq`, since.UnixMilli(), until.UnixMilli())
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	defer rows.Close()
	var message []Row
	for rows.Next() {
		var facts string
		_, r, err := scan(rows, &facts)
		if err == nil {
			r.Facts, err = decodeFacts(facts, &r)
		}
		if err != nil {
			return fmt.Errorf("history: %w", err)
		}
		if len(message) > 0 && (message[0].ID != r.ID || message[0].Direction != r.Direction) {
			if err := do(message); err != nil {
				return err
			}
			message = nil
		}
		message = append(message, r)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	if len(message) == 0 {
		return nil
	}
	return do(message)
}
