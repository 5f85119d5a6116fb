package queue

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"strings"
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

// TestPiecesOfAnother: a message that is removed while it is delivered is cut off, also
// where another one has its number: SQLite gives numbers again.
func TestPiecesOfAnother(t *testing.T) { each(t, testPiecesOfAnother) }

func testPiecesOfAnother(t *testing.T) {
	q := open(t, Config{MinFree: -1})
	large := func(filler string) *message.Message {
		m, err := message.Parse([]byte("Subject: x\r\n\r\n" + strings.Repeat(filler+"\r\n", 100_000)))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	put := func(m *message.Message) (id int64) {
		d := delivery(t, "a@example.org", "b@example.net")
		d.Message = m
		if err := q.Put(t.Context(), relay.Batch{Copies: []relay.Delivery{d}}); err != nil {
			t.Fatal(err)
		}
		list, err := q.List(t.Context(), Filter{})
		if err != nil || len(list) != 1 {
			t.Fatalf("%v, %v", list, err)
		}
		return list[0].ID
	}
	first := large(strings.Repeat("a", 48))
	id := put(first)
	var number int64
	if err := q.db.QueryRowContext(t.Context(), `SELECT message_id FROM smimerelay_delivery WHERE id = $1`, id).Scan(&number); err != nil {
		t.Fatal(err)
	}
	tx, err := q.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	share := relay.NewMemory(1 << 30).Share()
	s := &stored{message: number, share: share}
	err = q.loadMessage(t.Context(), tx, s, first.Size(), share)
	if rolled := tx.Rollback(); err != nil || rolled != nil || s.delivery.Stored == nil {
		t.Fatal(err, rolled)
	}
	if _, err := q.Drop(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	put(large(strings.Repeat("b", 48)))
	err = s.delivery.Stored.Pieces(t.Context(), func(piece []byte) error {
		t.Errorf("%d octets that begin with %q", len(piece), piece[:20])
		return nil
	})
	if !errors.Is(err, errCut) {
		t.Errorf("in pieces: %v", err)
	}
	if m, err := s.delivery.Stored.Load(t.Context()); !errors.Is(err, errCut) && !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("as a whole: %v, %v", m, err)
	}
}

// TestLongHeader: a message of this size whose header is all of it has no other parts, and
// leaves like any other.
func TestLongHeader(t *testing.T) { each(t, testLongHeader) }

func testLongHeader(t *testing.T) {
	h := newHop(nil)
	q := open(t, Config{Deliverer: h, MinFree: -1})
	d := delivery(t, "a@example.org", "b@example.net")
	field := "X-A: " + strings.Repeat("a", 900) + "\r\n"
	text := strings.Repeat(field, piecesFrom/len(field))
	text += "X-B: " + strings.Repeat("b", piecesFrom-len(text)-7) + "\r\n" + "\r\n"
	var err error
	if d.Message, err = message.Parse([]byte(text)); err != nil || d.Message.Size() < piecesFrom {
		t.Fatal(len(text), err)
	}
	if err := q.Put(t.Context(), relay.Batch{Copies: []relay.Delivery{d}}); err != nil {
		t.Fatal(err)
	}
	start(t, q)
	h.wait(t)
}
