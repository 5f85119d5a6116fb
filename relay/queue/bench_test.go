package queue

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/message"
)

// BenchmarkQueue measures messages of 75 kB, stored and worked, with twenty
// writers.
func BenchmarkQueue(b *testing.B) {
	q := open(b, Config{Deliverer: nowhere{}})
	start(b, q)
	m, err := message.Parse([]byte("Subject: x\r\n\r\n" + strings.Repeat("0123456789abcdef\r\n", 75_000/18)))
	if err != nil {
		b.Fatal(err)
	}
	d := delivery(b, "a@example.org", "b@example.net")
	d.Message = m
	b.SetParallelism(10)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := q.Put(context.Background(), batch(d)); err != nil {
				b.Error(fmt.Errorf("put: %w", err))
				return
			}
		}
	})
	drained(b, q)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

type nowhere struct{}

func (nowhere) Deliver(_ context.Context, d relay.Delivery) ([]error, []bool) {
	return make([]error, len(d.Recipients)), nil
}
