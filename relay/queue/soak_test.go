package queue

import (
	"context"
	"flag"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/relay"
)

// soak is how many messages TestSoak sends: `make soak` says 100,000.
var soak = flag.Int("soak", 300, "messages of TestSoak")

// Memory and goroutines of a queue at work do not grow, and of what waits while others are
// delivered the first is delivered soon after a start.
func TestSoak(t *testing.T) { each(t, testSoak) }

func testSoak(t *testing.T) {
	var delivered atomic.Int64
	first := make(chan time.Time, 1)
	c := Config{Place: newPlace(t), MaxSize: 2*(*soak) + 100, MinFree: -1, Retry: []time.Duration{time.Hour},
		Deliverer: deliverFunc(func(_ context.Context, d relay.Delivery) ([]error, []bool) {
			delivered.Add(1)
			select {
			case first <- time.Now():
			default:
			}
			return make([]error, len(d.Recipients)), nil
		})}
	q := open(t, c)
	if err := q.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	putMany(t, q, *soak/10)
	drained(t, q)
	memory, goroutines := inUse()
	putMany(t, q, *soak-*soak/10)
	drained(t, q)
	took := time.Since(begin)
	memoryNow, goroutinesNow := inUse()
	if goroutinesNow > goroutines+2 || memoryNow > memory+16<<20 {
		t.Errorf("%d goroutines and %d octets, were %d and %d", goroutinesNow, memoryNow, goroutines, memory)
	}
	if n := delivered.Load(); n != int64(*soak) {
		t.Errorf("%d delivered, want %d", n, *soak)
	}
	t.Logf("%d messages, %.0f/s; %d kB in use, were %d", *soak, float64(*soak)/took.Seconds(), memoryNow>>10, memory>>10)
	stop(t, q)
	q = open(t, c)
	putMany(t, q, *soak)
	stop(t, q)
	select {
	case <-first:
	default:
	}
	begin = time.Now()
	q = open(t, c)
	start(t, q)
	t.Logf("the first of %d that waited is delivered %v after the start", *soak, (<-first).Sub(begin).Round(time.Millisecond))
}

// putMany stores messages by ten clients.
func putMany(t *testing.T, q *Queue, n int) {
	t.Helper()
	var wg sync.WaitGroup
	var next atomic.Int64
	for range 10 {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", fmt.Sprintf("b%d@example.net", i)))); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// inUse is how much memory is in use, and how many goroutines there are.
func inUse() (memory uint64, goroutines int) {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc, runtime.NumGoroutine()
}
