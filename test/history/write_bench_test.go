package history

import (
	"context"
	"crypto/rand"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/history"
)

// batches are of so many rows: a busy gateway's, and one's with some messages a second.
var batches = []int{500, 20}

// BenchmarkWrite counts the processor time of a row, in batches, in a history that has some
// rows already.
func BenchmarkWrite(b *testing.B) {
	for _, size := range batches {
		b.Run(fmt.Sprintf("%d rows", size), func(b *testing.B) {
			s := open(b, newFile(b))
			n := 0
			next := func(size int) (batch history.Batch) {
				for _, r := range rows(b, n, n+size) {
					r.Facts = &enforce.Facts{
						Direction: enforce.Outbound, Sender: r.Sender, Client: enforce.Client{Listener: r.Listener},
						Identity: enforce.Available, Content: enforce.Content{Size: 5000},
						Recipients: []enforce.RecipientFacts{{Address: r.Recipient, Certificate: enforce.CertificateFacts{State: enforce.Available, Usable: []enforce.Fingerprint{{1}}}}},
					}
					r.ID, r.QueueID, r.MessageID = rand.Text()[:16], rand.Text()[:10], rand.Text()+"@example.org"
					r.Certificates = []string{fmt.Sprintf("%064x", n)}
					r.Stages = []history.Stage{{Name: "facts", Took: time.Millisecond}, {Name: "decision", Took: time.Microsecond}, {Name: "copies", Took: time.Millisecond}}
					batch.Rows = append(batch.Rows, r)
				}
				n += size
				return batch
			}
			for n < 20_000 {
				write(b, s, next(1000))
			}
			b.ReportAllocs()
			var spent time.Duration
			for b.Loop() {
				b.StopTimer()
				batch := next(size)
				before := processorTime(b)
				b.StartTimer()
				if _, err := s.Write(context.Background(), batch); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				spent += processorTime(b) - before
				b.StartTimer()
			}
			b.ReportMetric(float64(spent.Microseconds())/float64(b.N*size), "processor-µs/row")
		})
	}
}

// processorTime is what the process has taken.
func processorTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
