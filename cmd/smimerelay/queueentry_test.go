package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/relay/queue"
)

// TestEntryState: what a delivery waits for is shown, and one without a next attempt is not
// taken for one in progress.
func TestEntryState(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for want, e := range map[string]queue.Entry{
		"one in progress, by mx/example.net":      {Status: queue.Active, Destination: "mx/example.net"},
		"waiting for its turn, by mx/example.net": {Status: queue.Waiting, Destination: "mx/example.net"},
		"on hold":      {Status: queue.OnHold},
		"next now":     {Status: queue.New, Next: now},
		"next in 5m0s": {Status: queue.Deferred, Next: now.Add(5 * time.Minute)},
	} {
		if got := entryState(e, now); got != want {
			t.Errorf("%s: %q, want %q", e.Status, got, want)
		}
	}
}

// TestStatsCountEach: each status is counted, also that of deliveries that wait for their turn.
func TestStatsCountEach(t *testing.T) {
	var entries []queue.Entry
	for _, s := range queue.Statuses {
		entries = append(entries, queue.Entry{Status: s})
	}
	var out bytes.Buffer
	if err := (&page{w: &out}).stats(countEntries(entries), time.Now()); err != nil {
		t.Fatal(err)
	}
	for _, s := range queue.Statuses {
		if line := "      1 " + string(s) + "\n"; !bytes.Contains(out.Bytes(), []byte(line)) {
			t.Errorf("no line %q in\n%s", line, &out)
		}
	}
}
