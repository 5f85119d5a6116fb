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

// BenchmarkHistory times what a console asks of a large history: the target for a search
// is 50 ms, for the overview 200 ms.
func BenchmarkHistory(b *testing.B) {
	for _, e := range engines {
		b.Run(e.name, func(b *testing.B) {
			n := size(b)
			s := open(b, e.place(b))
			started := time.Now()
			for i := 0; i < n; i += 5000 {
				write(b, s, history.Batch{Rows: rows(b, i, min(i+5000, n))})
			}
			b.Logf("%d rows written in %v", n, time.Since(started))
			find := func(name string, q history.Query, atLeast int) {
				b.Run(name, func(b *testing.B) {
					for b.Loop() {
						if got := search(b, s, q); len(got.Rows) < atLeast {
							b.Fatalf("%d rows", len(got.Rows))
						}
					}
				})
			}
			middle := row(b, n/2)
			find("id", history.Query{Text: middle.ID}, 1)
			find("queue id", history.Query{Text: middle.QueueID}, 1)
			find("message id", history.Query{Text: middle.MessageID}, 1)
			find("address", history.Query{Text: middle.Recipient.String()}, 50)
			find("unknown address", history.Query{Text: "stranger@example.com"}, 0)
			find("address and outcome", history.Query{Address: middle.Recipient, Outcome: history.Delivered}, 50)
			find("newest", history.Query{}, 50)
			find("outcome", history.Query{Outcome: history.Refused}, 50)
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
