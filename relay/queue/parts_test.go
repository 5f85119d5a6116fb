package queue

import (
	"fmt"
	"testing"
)

// TestListInParts: a queue that is read in parts is all of it, once, and a filter chooses
// from all parts.
func TestListInParts(t *testing.T) { each(t, testListInParts) }

func testListInParts(t *testing.T) {
	q := open(t, Config{Deliverer: newHop(nil)}) // not started: nothing leaves
	defer stop(t, q)
	const all = perPart + 5
	b := batch()
	for i := range all {
		b.Copies = append(b.Copies, delivery(t, "a@example.org", fmt.Sprintf("r%d@example.net", i%2)))
	}
	if err := q.Put(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		filter Filter
		want   int
	}{
		{Filter{}, all}, {Filter{Limit: 100}, all}, {Filter{Limit: 7, Recipient: "r1@example.net"}, all / 2}, {Filter{Recipient: "r0@example.net"}, (all + 1) / 2},
		{Filter{Sender: "none@example.org", Limit: 3}, 0},
	} {
		seen := map[int64]bool{}
		for {
			part, err := q.List(t.Context(), c.filter)
			if err != nil || c.filter.Limit > 0 && len(part) > c.filter.Limit {
				t.Fatalf("%+v: %d entries, %v", c.filter, len(part), err)
			}
			for _, e := range part {
				if seen[e.ID] || e.ID <= c.filter.After || len(e.Recipients) != 1 {
					t.Fatalf("%+v: entry %+v", c.filter, e)
				}
				seen[e.ID], c.filter.After = true, e.ID
			}
			if c.filter.Limit == 0 || len(part) < c.filter.Limit {
				break
			}
		}
		if len(seen) != c.want {
			t.Errorf("%+v: %d entries, want %d", c.filter, len(seen), c.want)
		}
	}
}
