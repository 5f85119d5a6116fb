package queue

import (
	"database/sql"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/fault"
)

// While the queue works: a delivery whose job is gone, over, marked as running
// though no worker has it, or left by River's scheduler, is tried again.
func TestStraysAreRescued(t *testing.T) { each(t, testStraysAreRescued) }

func testStraysAreRescued(t *testing.T) {
	for name, lose := range map[string]string{
		"gone":    `DELETE FROM river_job`,
		"running": `UPDATE river_job SET state = 'running'`,
		"over":    `UPDATE river_job SET state = 'completed', finalized_at = scheduled_at`,
		"left":    `UPDATE river_job SET state = 'retryable', scheduled_at = '2020-01-01 00:00:00'`,
	} {
		t.Run(name, func(t *testing.T) {
			h := newHop(func(_ string, attempt int) error {
				if attempt == 1 {
					return fault.New(fault.NextHop, "busy", nil)
				}
				return nil
			})
			q := open(t, Config{Deliverer: h, Retry: []time.Duration{time.Hour}, Tend: 5 * time.Millisecond})
			start(t, q)
			if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", "b@example.net"))); err != nil {
				t.Fatal(err)
			}
			until(t, "the first attempt", func() bool {
				list, err := q.List(t.Context(), Filter{})
				return err == nil && len(list) == 1 && list[0].Attempts == 1
			})
			if _, err := q.db.Exec(lose); err != nil {
				t.Fatal(err)
			}
			h.wait(t)
			drained(t, q)
		})
	}
}

// A delivery that a worker has is left to it, however long that takes, and an
// administrator who wants it tried again is informed.
func TestClaimedIsNoStray(t *testing.T) { each(t, testClaimedIsNoStray) }

func testClaimedIsNoStray(t *testing.T) {
	under, goOn := make(chan struct{}), make(chan struct{})
	h := newHop(func(string, int) error {
		under <- struct{}{}
		<-goOn
		return nil
	})
	q := open(t, Config{Deliverer: h, Tend: time.Hour})
	start(t, q)
	if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", "b@example.net"))); err != nil {
		t.Fatal(err)
	}
	<-under
	for range 3 {
		q.tender.poll()
	}
	list, err := q.List(t.Context(), Filter{})
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if now, err := q.Retry(t.Context(), list[0].ID); now || err != nil {
		t.Errorf("tried again while it is tried: %v %v", now, err)
	}
	close(goOn)
	drained(t, q)
	if n := h.attempts["b@example.net"]; n != 1 {
		t.Errorf("%d attempts", n)
	}
}

// A job that comes to its worker late, when its delivery has another one, delivers
// nothing.
func TestLateJobDeliversNothing(t *testing.T) { each(t, testLateJobDeliversNothing) }

func testLateJobDeliversNothing(t *testing.T) {
	q := open(t, Config{Deliverer: newHop(nil)})
	defer stop(t, q)
	if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", "b@example.net"))); err != nil {
		t.Fatal(err)
	}
	var before, after int64
	read := func(into *int64) {
		if err := q.db.QueryRow(`SELECT job_id FROM smimerelay_delivery`).Scan(into); err != nil {
			t.Fatal(err)
		}
	}
	read(&before)
	if err := q.writer.write(t.Context(), func(tx *sql.Tx) error {
		_, err := q.replaceJob(t.Context(), tx, stray{delivery: 1, job: before})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	read(&after)
	if s, err := q.load(t.Context(), job{id: before, delivery: 1}, nil); s != nil || err != nil {
		t.Errorf("the old job reads %v (%v)", s, err)
	}
	if s, err := q.load(t.Context(), job{id: after, delivery: 1}, nil); s == nil || err != nil {
		t.Errorf("the new job reads nothing (%v)", err)
	}
}
