package queue

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/smime/message"
)

// What was delivered, released or dropped is in none of the queue's files any
// more: not in free pages, not in the journal.
func TestDeliveredTextIsWiped(t *testing.T) {
	const needle = "the merger is off"
	text := []byte("Subject: x\r\n\r\n" + strings.Repeat(needle+"\r\n", 20_000))
	m, err := message.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	h := newHop(nil)
	q := open(t, Config{Deliverer: h, Tend: 10 * time.Millisecond})
	large, err := message.Parse(bytes.Repeat(text, 5))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*message.Message{m, large, m} {
		d := delivery(t, "a@example.org", "b@example.net")
		d.Message = m
		dropped := held(t, "c@example.net")
		dropped.Message = m
		if err := q.Put(t.Context(), holding(dropped, d)); err != nil {
			t.Fatal(err)
		}
	}
	if !inFiles(t, q, needle) {
		t.Fatal("the text is not where it is looked for")
	}
	list, err := q.Held(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if _, err := q.DropHeld(t.Context(), e.ID); err != nil {
			t.Fatal(err)
		}
	}
	start(t, q)
	drained(t, q)
	until(t, "the text to be gone", func() bool { return !inFiles(t, q, needle) })
}

// inFiles reports whether text is in a file of the queue.
func inFiles(t *testing.T, q *Queue, text string) bool {
	t.Helper()
	found := false
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		raw, err := os.ReadFile(q.config.Path + suffix)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		found = found || bytes.Contains(raw, []byte(text))
	}
	return found
}
