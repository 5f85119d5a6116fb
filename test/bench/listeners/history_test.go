package listeners

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"
)

var historyTable = flag.Bool("history", false, "measure the relay with the history and without, and print the table")

// withoutHistory is added to the configuration to turn the history off.
const withoutHistory = "\n[history]\nkeep = \"0s\"\n"

// TestHistoryCost prints what a message through the relay and its queue costs with the history
// and without, in processor time of the gateway. With no flag it takes each figure once, with
// few messages.
func TestHistoryCost(t *testing.T) {
	times, count, sessions := 1, 4, 2
	if *historyTable {
		times, count, sessions = *runs, *messages, 10
	}
	b := newBench(t)
	b.historyRow("\nprocessor time of the relay, µs a message of 5 kB, %d sessions, %d messages, medians of %d runs in turns\n", sessions, count, times)
	b.historyRow("%-12s %9s %9s %9s\n", "", "history", "without", "more")
	for _, job := range []string{"pass", "sign-encrypt"} {
		if *only != "" && job != *only {
			continue
		}
		m := b.world.mail(b, job, 5_000)
		var with, without []float64
		for range times {
			with = append(with, b.lifetime("", m, sessions, count))
			without = append(without, b.lifetime(withoutHistory, m, sessions, count))
		}
		b.historyRow("%-12s %9.0f %9.0f %8.1f%%\n", job, median(with), median(without), 100*(median(with)/median(without)-1))
	}
}

// lifetime starts the gateway with an addition to its configuration, sends count messages
// through the relay, and ends it. It returns the microseconds of processor time a message, with
// what the gateway does at its end: entries of the history are written behind the mail, the last
// of them then. What it takes to start is not counted, and so are some messages before the others.
func (b *bench) lifetime(addition string, m mail, sessions, count int) float64 {
	b.Helper()
	b.stop()
	b.gateway.Configure(b, b.world.config(b.places)+addition)
	b.started()
	b.measure("relay", b.places.relay, m, sessions, max(count/5, sessions), true)
	before := b.filters["relay"].processorTime(b)
	b.measure("relay", b.places.relay, m, sessions, count, true)
	b.stop()
	spent := b.gateway.ProcessorTime() - before
	b.started() // the next one ends it, or the end of the test
	return float64(spent) / float64(time.Microsecond) / float64(count)
}

func (b *bench) historyRow(format string, args ...any) {
	if *historyTable {
		fmt.Fprintf(os.Stdout, format, args...)
	}
}
