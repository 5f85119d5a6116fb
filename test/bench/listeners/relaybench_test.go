package listeners

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"
)

var (
	relayTable = flag.Bool("relay", false, "measure the relay with its queue, and print the table")
	waiting    = flag.Int("waiting", 100_000, "messages that wait in the queue, with -relay")
)

// TestRelay prints how many messages a second the relay accepts and delivers, beside
// Postfix with its queue on the same disk, with an empty queue and with many messages
// waiting, and how soon after a start the first is delivered then. With no flag it takes
// each figure once, with few messages.
func TestRelay(t *testing.T) {
	sizes, sessions, times, count, wait := []int{5_000}, []int{2}, 1, 4, 10
	if *relayTable {
		sizes, sessions, times, count, wait = []int{5_000, 75_000}, []int{1, 10, 50}, *runs, *messages, *waiting
	}
	b := newBench(t)
	b.report("\nmessages a second from the first connection to the last delivery, medians of %d runs\n", times)
	b.relayRates(sizes, sessions, count, times)
	b.fill(wait)
	b.report("with %d messages waiting in the queue of the relay, and none in that of Postfix\n", wait)
	b.relayRates(sizes, sessions, count, times)
	for range times {
		b.report("first delivery after the start, %d waiting: %.2f s\n", wait, b.firstDelivery().Seconds())
	}
}

// relayRates measures the relay and Postfix in turns, so that both meet the machine as it is
// at the time, and prints a row for each size and number of sessions.
func (b *bench) relayRates(sizes, sessions []int, count, runs int) {
	b.Helper()
	b.report("%8s %9s %9s %9s %7s\n", "octets", "sessions", "relay", "Postfix", "ratio")
	for _, size := range sizes {
		count := count
		if size > 5_000 {
			count = max(count/5, 4)
		}
		m := b.world.mail(b, "pass", size)
		for _, n := range sessions {
			f := b.row(m, n, count, runs, []way{{"relay", b.places.relay, true}, {"alone", b.smtp("alone"), true}})
			b.report("%8d %9d %9.0f %9.0f %7.2f\n", size, n, f[0].rate, f[1].rate, f[0].rate/f[1].rate)
		}
	}
}

// fill has so many more messages wait in the queue, since the next hop takes each for one of two recipients.
func (b *bench) fill(n int) {
	b.Helper()
	m := b.world.mail(b.T, "pass", 5_000)
	m.to, m.recipients = later+"pass.example", 2
	deferred := b.counter.deferred.Load() + int64(n)
	b.source(m, b.places.relay, 20, n)
	b.until(func() bool { return b.counter.deferred.Load() >= deferred })
}

// firstDelivery starts the gateway again, and returns how long it was from the start to the
// delivery of a message that came then.
func (b *bench) firstDelivery() time.Duration {
	b.Helper()
	b.stop()
	m := b.world.mail(b.T, "pass", 5_000)
	start := time.Now()
	b.started()
	b.measure("relay", b.places.relay, m, 1, 1, true)
	return time.Since(start)
}

func (b *bench) report(format string, args ...any) {
	if *relayTable {
		fmt.Fprintf(os.Stdout, format, args...)
	}
}
