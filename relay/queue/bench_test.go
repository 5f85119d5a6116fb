package queue

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/message"
)

// BenchmarkQueue measures messages, stored and worked, with twenty writers.
func BenchmarkQueue(b *testing.B) {
	for _, engine := range []string{"sqlite", onPostgreSQL} {
		for _, size := range []int{5_000, 75_000} {
			b.Run(fmt.Sprintf("%s/%d", engine, size), func(b *testing.B) { benchmarkParallel(b, size) })
		}
	}
}

func benchmarkParallel(b *testing.B, size int) {
	b.SetParallelism(10)
	benchmarkQueue(b, size, func(put func() error) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := put(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}

// BenchmarkQueueOneWriter measures messages that are stored one after the other.
func BenchmarkQueueOneWriter(b *testing.B) {
	for _, size := range []int{5_000, 75_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			benchmarkQueue(b, size, func(put func() error) {
				for range b.N {
					if err := put(); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

func benchmarkQueue(b *testing.B, size int, writers func(put func() error)) {
	q := open(b, Config{Deliverer: nowhere{}})
	start(b, q)
	m, err := message.Parse([]byte("Subject: x\r\n\r\n" + strings.Repeat("0123456789abcdef\r\n", size/18)))
	if err != nil {
		b.Fatal(err)
	}
	d := delivery(b, "a@example.org", "b@example.net")
	d.Message = m
	b.ResetTimer()
	writers(func() error { return q.Put(context.Background(), batch(d)) })
	drained(b, q)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

type nowhere struct{}

func (nowhere) Deliver(_ context.Context, d relay.Delivery) ([]error, []bool) {
	return make([]error, len(d.Recipients)), nil
}
