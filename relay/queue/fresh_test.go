package queue

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/relay"
)

// What a worker gets of a delivery that was just stored is what it would read of it.
func TestFreshIsWhatIsStored(t *testing.T) {
	wait := make(chan struct{})
	q := open(t, Config{Place: Place{Path: t.TempDir() + "/queue.db"}, Deliverer: deliverFunc(func(_ context.Context, d relay.Delivery) ([]error, []bool) {
		<-wait
		return make([]error, len(d.Recipients)), nil
	})})
	start(t, q)
	defer close(wait)
	d := delivery(t, "a@example.org", "b@example.net", `"c d"@EXAMPLE.net`)
	d.Recipients[0].Rule, d.Recipients[1].Notify, d.Recipients[1].Original = "first", nil, "with\x00NUL"
	d.Listener, d.Direction, d.Origin = "in", "inbound", relay.Origin{ID: "1", MessageID: "<m>"}
	d.Secret = &relay.Secret{Sender: addr(t, "s@example.org"), MessageID: "<n>", To: d.Recipients[:1]}
	d.Asks = &relay.Asks{MessageID: "<q>", Sender: addr(t, "s@example.org"), Until: time.Unix(1, 0)}
	d.Treatment.Protection = "clear" // is not stored
	words := d                       // most have nothing else in their parameters
	words.Secret, words.Asks = nil, nil
	words.Params = relay.MailParams{EnvID: "e <\u2028>", Return: "FULL", SMTPUTF8: true}
	kept := map[int64]*fresh{}
	err := q.writer.write(t.Context(), func(tx *sql.Tx) error {
		err := q.insert(t.Context(), tx, []relay.Delivery{d, words})
		maps.Copy(kept, q.dispatcher.fresh)
		return err
	})
	if err != nil || len(kept) != 2 {
		t.Fatalf("%d deliveries are kept for their workers, %v", len(kept), err)
	}
	for id, f := range kept {
		j := job{id: id, delivery: f.delivery}
		got, err := f.stored(j)
		if err != nil {
			t.Fatal(err)
		}
		want, err := q.load(t.Context(), j, nil)
		if err != nil || want == nil {
			t.Fatalf("%+v is not in the queue, %v", j, err)
		}
		if string(got.delivery.Message.Bytes()) != string(want.delivery.Message.Bytes()) {
			t.Errorf("message %q, want %q", got.delivery.Message.Bytes(), want.delivery.Message.Bytes())
		}
		got.delivery.Message, want.delivery.Message = nil, nil
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

// Each recipient gets their own message, also where changes of the same commits fail and
// are undone, and others get the numbers of what they stored.
func TestFreshOfOneIsNotOfAnother(t *testing.T) {
	for _, workers := range []int{1, 4} {
		var mu sync.Mutex
		tries := map[string]int{}
		q := open(t, Config{Place: Place{Path: t.TempDir() + "/queue.db"}, Workers: workers, Deliverer: deliverFunc(func(_ context.Context, d relay.Delivery) ([]error, []bool) {
			to := d.Recipients[0].Address.String()
			if text := string(d.Message.Bytes()); !strings.Contains(text, "hello "+to+"\r\n") || strings.HasPrefix(to, "undone") {
				t.Errorf("%s got %q", to, text)
			}
			mu.Lock()
			defer mu.Unlock()
			if tries[to]++; tries[to] == 1 && strings.HasPrefix(to, "later") {
				return []error{errors.New("not yet")}, nil
			}
			return []error{nil}, nil
		})})
		start(t, q)
		conn, err := q.db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for i := range 60 {
			name := []string{"undone", "now", "later"}[i%3]
			d := delivery(t, "a@example.org", name+strings.Repeat("x", i)+"@example.net")
			all.Go(func() {
				err := q.writer.write(t.Context(), func(tx *sql.Tx) error {
					err := q.insert(t.Context(), tx, []relay.Delivery{d})
					if name == "undone" {
						err = errors.Join(err, errors.New("undone"))
					}
					return err
				})
				if (err != nil) != (name == "undone") {
					t.Error(name, err)
				}
			})
		}
		if err := conn.Close(); err != nil { // now they are committed, many at once
			t.Fatal(err)
		}
		all.Wait()
		drained(t, q)
		if got := slices.Sorted(maps.Keys(tries)); len(got) != 40 {
			t.Errorf("%d recipients got their message: %q", len(got), got)
		}
	}
}
