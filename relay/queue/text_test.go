package queue

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/message"
)

// written is the message of a delivery.
func written(t *testing.T, s *Store, id int64) []byte {
	t.Helper()
	var text bytes.Buffer
	if err := s.WriteMessage(t.Context(), id, &text); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

// A message that takes several rows is delivered to the octet, is shown and counted
// as one, and leaves nothing behind. Where there is no memory for it, it waits.
func TestLargeMessages(t *testing.T) { each(t, testLargeMessages) }

func testLargeMessages(t *testing.T) {
	h := newHop(nil)
	memory := relay.NewMemory(64 << 20)
	q := open(t, Config{Deliverer: h, MinFree: -1, Memory: memory, Tend: 10 * time.Millisecond})
	var texts [][]byte
	for _, size := range []int{partSize - 1, partSize, partSize + 1, 5*partSize + 17} {
		d := delivery(t, "a@example.org", fmt.Sprintf("b%d@example.net", size))
		text := append([]byte("Subject: x\r\n\r\n"), bytes.Repeat([]byte("0123456789abcde"), size/15+1)...)[:size]
		for i := 0; i+1000 < size; i += 1000 {
			copy(text[i+500:], fmt.Sprintf("\r\n%08d", i))
		}
		var err error
		if d.Message, err = message.Parse(text); err != nil {
			t.Fatal(err)
		}
		if err := q.Put(t.Context(), relay.Batch{Copies: []relay.Delivery{d}}); err != nil {
			t.Fatal(err)
		}
		list, err := q.List(t.Context(), Filter{})
		if err != nil || list[len(list)-1].Size != size {
			t.Fatalf("%v (%v), want %d octets", list, err, size)
		}
		if !bytes.Equal(written(t, q.Store, list[len(list)-1].ID), text) {
			t.Errorf("%d octets are shown as others", size)
		}
		texts = append(texts, text)
	}
	others := memory.Share()
	if !others.Reserve(50 << 20) {
		t.Fatal("no memory")
	}
	start(t, q)
	large := texts[len(texts)-1]
	for range texts[1:] {
		if d := h.wait(t); len(d.Message.Bytes()) == len(large) {
			t.Error("delivered without memory")
		}
	}
	others.Release()
	if d := h.wait(t); !bytes.Equal(d.Message.Bytes(), large) {
		t.Errorf("%d octets are delivered, want others, %d", len(d.Message.Bytes()), len(large))
	}
	drained(t, q)
	until(t, "nothing to be left", func() bool {
		var left int
		err := q.db.QueryRow(`SELECT (SELECT count(*) FROM smimerelay_message) + (SELECT count(*) FROM smimerelay_large) +
			(SELECT count(*) FROM smimerelay_part) + (SELECT count(*) FROM smimerelay_wipe)`).Scan(&left)
		return err == nil && left == 0
	})
}
