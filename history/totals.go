package history

import (
	"context"
	"fmt"
	"time"
)

// Totals are how many recipients messages had in each hour, by what became of them.
type Totals struct {
	Hours []Hour `json:"hours"`
}

// Hour is what an hour counted: recipients, by a word, whatever became of them later
// included.
type Hour struct {
	Start  time.Time `json:"start"`
	Counts []Count   `json:"counts"`
}

// Count is a number of recipients.
type Count struct {
	// Kind is what Word is: CountOutcome, CountCause, ...
	Kind CountKind `json:"kind"`
	// Word is an Outcome, a Row.Cause, ...
	Word string `json:"word"`
	// Direction is "outbound", "inbound", or "" where it is not known.
	Direction string `json:"direction,omitempty"`
	Number    int64  `json:"number"`
}

// CountKind is what is counted.
type CountKind string

// The kinds, by the field of Row.
const (
	CountOutcome    CountKind = "outcome"
	CountCause      CountKind = "cause"
	CountProtection CountKind = "protection"
	CountResult     CountKind = "result"
	CountRule       CountKind = "rule"
)

// countBytes counts what the rows of an hour take on the disk.
const countBytes CountKind = "bytes"

// Totals returns those of the hours that begin in a time, oldest first; hours without a
// message are left out.
func (s *Store) Totals(ctx context.Context, since, until time.Time) (Totals, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT hour, kind, word, direction, number FROM smimerelay_history_hour
		WHERE hour >= $1 AND hour <= $2 AND number <> 0 AND kind <> $3 ORDER BY hour, kind, word, direction`,
		since.UnixMilli()/hourMillis, until.UnixMilli()/hourMillis, string(countBytes))
	if err != nil {
		return Totals{}, fmt.Errorf("history: %w", err)
	}
	defer rows.Close()
	t := Totals{Hours: []Hour{}}
	for rows.Next() {
		var hour int64
		var c Count
		if err := rows.Scan(&hour, &c.Kind, &c.Word, &c.Direction, &c.Number); err != nil {
			return Totals{}, fmt.Errorf("history: %w", err)
		}
		start := time.UnixMilli(hour * hourMillis).UTC()
		if n := len(t.Hours); n == 0 || !t.Hours[n-1].Start.Equal(start) {
			t.Hours = append(t.Hours, Hour{Start: start})
		}
		h := &t.Hours[len(t.Hours)-1]
		h.Counts = append(h.Counts, c)
	}
	if err := rows.Err(); err != nil {
		return Totals{}, fmt.Errorf("history: %w", err)
	}
	return t, nil
}

// Sum adds the hours up: the number by word.
func (t Totals) Sum(kind CountKind) map[string]int64 {
	sum := map[string]int64{}
	for _, h := range t.Hours {
		for _, c := range h.Counts {
			if c.Kind == kind {
				sum[c.Word] += c.Number
			}
		}
	}
	return sum
}
