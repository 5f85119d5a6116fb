package history

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/history"
)

// size is how many rows the benchmarks have: HISTORY_ROWS, or a million.
func size(b *testing.B) int {
	b.Helper()
	text := os.Getenv("HISTORY_ROWS")
	if text == "" {
		return 1_000_000
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// block is how many rows are written as the gateway does; they are then copied.
const block = 10_000

// fill writes n rows: a block, and copies of it with other identifiers, addresses and times, half
// of them of 25 other rules, and two rows that are rare.
func fill(b *testing.B, p history.Place, n int) {
	b.Helper()
	s := open(b, p)
	for i := 0; i < block; i += 1000 {
		write(b, s, history.Batch{Rows: rows(b, i, i+1000)})
	}
	numbers := `WITH RECURSIVE numbers (g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM numbers WHERE g < $1)`
	if p.URL != "" {
		numbers = `WITH numbers AS (SELECT g FROM generate_series(1, $1::bigint) AS g)`
	}
	for _, statement := range []string{
		numbers + ` INSERT INTO smimerelay_history (time, id, queue_id, message_id, listener, direction, sender_key, recipient_key, rule, outcome, kept, data, facts)
			SELECT time + g * 10000000, id || '-' || g, queue_id || '-' || g, g || '.' || message_id, listener, direction, sender_key,
			CASE WHEN g % 10 = 0 THEN recipient_key ELSE g || '.' || recipient_key END, CASE WHEN g % 2 = 0 THEN rule ELSE rule || g % 50 END, outcome, kept, data, facts FROM smimerelay_history, numbers`,
		numbers + ` INSERT INTO smimerelay_history_hour SELECT hour + g * 3, kind, word, direction, number FROM smimerelay_history_hour, numbers
			WHERE true ON CONFLICT DO NOTHING`,
	} {
		exec(b, p, statement, n/block-1)
	}
	open(b, p) // gives the copies their references and class
	rare := row(b, block/2)
	rare.ID, rare.Listener, rare.Rule = "rare", "rare", "rare"
	often := rare
	often.Rule = row(b, 0).Rule
	write(b, s, history.Batch{Rows: []history.Row{rare, often}})
	if p.URL == "" {
		// What a gateway wrote is in the file itself but for some megabytes.
		exec(b, p, `PRAGMA wal_checkpoint(TRUNCATE)`)
	}
	exec(b, p, `ANALYZE smimerelay_history`)
}

// BenchmarkHistory times what a console asks of a large history: the target for a search
// is 50 ms, for the overview 200 ms.
func BenchmarkHistory(b *testing.B) {
	for _, e := range engines {
		b.Run(e.name, func(b *testing.B) {
			n := size(b)
			place := e.place(b)
			s := open(b, place)
			fill(b, place, n)
			find := func(name string, q history.Query, atLeast int) {
				b.Run(name, func(b *testing.B) {
					for b.Loop() {
						if got := search(b, s, q); len(got.Rows) < atLeast {
							b.Fatalf("%d rows", len(got.Rows))
						}
					}
				})
			}
			middle := row(b, block/2+1)
			find("id", history.Query{Text: middle.ID}, 1)
			find("queue id", history.Query{Text: middle.QueueID}, 1)
			find("message id", history.Query{Text: middle.MessageID}, 1)
			find("address", history.Query{Text: middle.Sender.String()}, 50)
			find("unknown address", history.Query{Text: "stranger@example.com"}, 0)
			find("address and outcome", history.Query{Address: middle.Sender, Outcome: history.Delivered}, 50)
			find("newest", history.Query{}, 50)
			find("outcome", history.Query{Outcome: history.Refused}, 50)
			find("rule", history.Query{Rule: middle.Rule}, 50)
			find("unknown rule", history.Query{Rule: "other"}, 0)
			find("unknown listener", history.Query{Listener: "other"}, 0)
			find("other direction", history.Query{Direction: "inbound"}, 0)
			find("rare rule", history.Query{Rule: "rare"}, 1)
			find("rule and listener that meet once", history.Query{Rule: middle.Rule, Listener: "rare"}, 1)
			find("rule and outcome that never meet", history.Query{Rule: middle.Rule, Outcome: history.Failed}, 0)
			find("address and rule", history.Query{Address: middle.Sender, Rule: middle.Rule}, 50)
			find("day in the middle", history.Query{Since: middle.Time, Until: middle.Time.Add(24 * time.Hour)}, 50)
			b.Run("overview of a month", func(b *testing.B) {
				for b.Loop() {
					totals, err := s.Totals(context.Background(), begin, begin.AddDate(0, 1, 0))
					if err != nil || fmt.Sprint(totals.Sum(history.CountOutcome)[string(history.Delivered)]) == "0" {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
