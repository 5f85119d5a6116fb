package service

import (
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/publish"
)

// TestRefusedObjectsWait: what a target refuses is tried less and less often, also when the store
// changes in between; what changes of others is written at once, unless the target itself fails.
func TestRefusedObjectsWait(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	first, second := &publish.Snapshot{}, &publish.Snapshot{}
	w := &written{snapshot: first}
	due := func(name string, snapshot *publish.Snapshot, want bool) {
		t.Helper()
		if got := w.due(snapshot, now); got != want {
			t.Errorf("%s: due is %t", name, got)
		}
	}
	due("all is written", first, false)
	due("a change", second, true)

	w.refuse([]string{"a", "b"}, true, now)
	due("refused just now", first, false)
	due("a change of others", second, true)
	for _, step := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute} {
		now = now.Add(step - time.Second)
		due("before the pause is over", first, false)
		now = now.Add(time.Second)
		due("after it", first, true)
		w.refuse([]string{"a"}, true, now) // b is written
	}
	if len(w.refused) != 1 {
		t.Errorf("%d are refused", len(w.refused))
	}
	for range 10 {
		now = w.refused["a"].until
		w.refuse([]string{"a"}, true, now)
	}
	if took := w.refused["a"].took; took != publishRetryMost {
		t.Errorf("a pause of %v", took)
	}

	w.refuse([]string{"c"}, false, now) // and the target failed before the turn of a
	now = now.Add(2 * time.Hour)
	w.refuse(nil, false, now)
	if len(w.refused) != 2 {
		t.Errorf("%d are refused after an attempt that did not get to them", len(w.refused))
	}
	w.pause = w.pause.longer(now)
	due("the target failed", second, false)
	now = w.pause.until
	due("its pause is over", second, true)
}
