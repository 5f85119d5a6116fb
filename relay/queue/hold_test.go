package queue

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
)

// held is a message that waits for some recipients.
func held(t testing.TB, to ...string) relay.Hold {
	t.Helper()
	d := delivery(t, "a@example.org", to...)
	now := time.Now().Round(0).UTC()
	h := relay.Hold{Message: d.Message, Since: now, Until: now.Add(time.Hour), Envelope: relay.Envelope{
		Others: 3, ID: "t1", QueueID: "q1", MessageID: "<m@example.org>", Listener: "door", Sender: d.Sender,
		Recipients: d.Recipients, Params: d.Params,
		Client: relay.Client{Addr: netip.MustParseAddr("192.0.2.1"), Helo: "h", TLS: true, User: "anne"},
	}}
	for range to {
		h.Reasons = append(h.Reasons, "none found")
	}
	return h
}

// gate is what decides about held messages in tests: who is in open may go.
type gate struct {
	mu     sync.Mutex
	open   map[string]bool
	asked  int
	holds  []relay.Hold
	orders []relay.Order
	err    error
}

func (g *gate) reconsider(_ context.Context, h relay.Hold, order relay.Order) (relay.Batch, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked++
	g.holds, g.orders = append(g.holds, h), append(g.orders, order)
	if g.err != nil {
		return relay.Batch{}, g.err
	}
	return split(h, func(to string) bool { return g.open[to] || order.Verb == relay.ReleasePlain }), nil
}

// split releases those for whom now holds.
func split(h relay.Hold, now func(to string) bool) relay.Batch {
	var b relay.Batch
	rest := h
	rest.Envelope.Recipients, rest.Reasons, rest.Asked, rest.Unreached = nil, nil, nil, nil
	var waiting []int
	for i, r := range h.Envelope.Recipients {
		if now(r.Address.String()) {
			b.Copies = append(b.Copies, relay.Delivery{Sender: h.Envelope.Sender, Params: h.Envelope.Params,
				Recipients: []relay.Recipient{r}, Message: h.Message, Listener: h.Envelope.Listener})
			continue
		}
		rest.Envelope.Recipients = append(rest.Envelope.Recipients, r)
		rest.Reasons = append(rest.Reasons, h.Reasons[i]+" yet")
		waiting = append(waiting, i)
	}
	for at, i := range waiting {
		note(&rest.Asked, at, len(waiting), h.IsAsked(i))
		note(&rest.Unreached, at, len(waiting), h.WhyUnreached(i))
	}
	if len(rest.Reasons) > 0 {
		b.Held = &rest
	}
	return b
}

func (g *gate) set(open ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = map[string]bool{}
	for _, to := range open {
		g.open[to] = true
	}
}

func (g *gate) times() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asked
}

// What is held is not delivered, survives a restart whole, and leaves for whom
// the answer has changed.
func TestHold(t *testing.T) { each(t, testHold) }

func testHold(t *testing.T) {
	h, g := newHop(nil), &gate{}
	c := Config{Place: newPlace(t), Deliverer: h, Decider: decider{reconsider: g.reconsider}, Look: time.Millisecond}
	q := open(t, c)
	want := held(t, "b@example.net", "c@example.net")
	if err := q.Put(t.Context(), holding(want, delivery(t, "", "a@example.org"))); err != nil {
		t.Fatal(err)
	}
	stop(t, q)
	q = open(t, c)
	start(t, q)
	if d := h.wait(t); d.Recipients[0].Address.String() != "a@example.org" {
		t.Fatalf("delivered to %v", d.Recipients)
	}
	drained(t, q)
	if g.times() != 0 {
		t.Error("looked at before its time")
	}
	g.set("c@example.net")
	if err := q.Recheck(t.Context()); err != nil {
		t.Fatal(err)
	}
	d := h.wait(t)
	if len(d.Recipients) != 1 || d.Recipients[0].Address.String() != "c@example.net" || d.Listener != "door" {
		t.Errorf("delivered %+v", d)
	}
	got := g.holds[0]
	if string(got.Message.Bytes()) != string(want.Message.Bytes()) {
		t.Error("another message")
	}
	got.Message = want.Message
	if !reflect.DeepEqual(got, want) {
		t.Errorf("came back as\n%+v, want\n%+v", got, want)
	}
	var list []HeldEntry
	until(t, "one who waits on", func() bool {
		var err error
		if list, err = q.Held(t.Context()); err != nil {
			t.Fatal(err)
		}
		return len(list) == 1 && len(list[0].Recipients) == 1
	})
	if r := list[0].Recipients[0]; r.Address != "b@example.net" || r.Reason != "none found yet" || !list[0].Next.After(time.Now()) {
		t.Errorf("held %+v", list[0])
	}
	g.set("b@example.net")
	if err := q.Give(t.Context(), list[0].ID, relay.Order{}); err != nil {
		t.Fatal(err)
	}
	h.wait(t)
	drained(t, q)
	nothingLeft(t, q)
	if n := h.attempts["c@example.net"]; n != 1 {
		t.Errorf("c got it %d times", n)
	}
}

func nothingLeft(t *testing.T, q *Queue) {
	t.Helper()
	var n int
	if err := q.db.QueryRow(`SELECT (SELECT count(*) FROM smimerelay_message) + (SELECT count(*) FROM smimerelay_hold)`).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d rows are left (%v)", n, err)
	}
}

// Orders reach the decision with their words; what cannot be decided stays, with
// the reason; a new generation of certificates has all looked at.
func TestHeldOrders(t *testing.T) { each(t, testHeldOrders) }

func testHeldOrders(t *testing.T) {
	h, g := newHop(nil), &gate{err: fault.New(fault.Unavailable, "no answer", nil)}
	var generation atomic.Int64
	q := open(t, Config{Deliverer: h, Decider: decider{reconsider: g.reconsider, generation: generation.Load}, Look: time.Millisecond})
	start(t, q)
	if err := q.Put(t.Context(), holding(held(t, "b@example.net"))); err != nil {
		t.Fatal(err)
	}
	s, err := OpenStore(t.Context(), q.config.Place)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	until(t, "a look at the generation", func() bool {
		generation.Add(-7) // any number does, as long as it is another
		return g.times() > 0
	})
	var e HeldEntry
	until(t, "the trouble", func() bool {
		list, err := s.Held(t.Context())
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		e = list[0]
		return e.Trouble == "no answer"
	})
	if n, err := s.CountHeld(t.Context()); n.Waiting != 1 || n.Quarantined != 0 || !n.Oldest.Equal(e.Since) || err != nil {
		t.Errorf("%+v, %v", n, err)
	}
	g.mu.Lock()
	g.err = nil
	g.mu.Unlock()
	order := relay.Order{Verb: relay.ReleasePlain, Reason: "by phone", By: "root"}
	if err := s.Give(t.Context(), e.ID, order); err != nil {
		t.Fatal(err)
	}
	h.wait(t)
	drained(t, q)
	nothingLeft(t, q)
	if last := g.orders[len(g.orders)-1]; last != order {
		t.Errorf("order %+v", last)
	}
	_, dropped := s.DropHeld(t.Context(), e.ID)
	for _, err := range []error{s.Give(t.Context(), e.ID, order), dropped} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("error %v", err)
		}
	}
}

// Held mail counts against the size of the queue, and drop takes it out.
func TestHeldCountsAndDrops(t *testing.T) { each(t, testHeldCountsAndDrops) }

func testHeldCountsAndDrops(t *testing.T) {
	q := open(t, Config{Deliverer: newHop(nil), MaxSize: 2})
	defer stop(t, q)
	if err := q.Put(t.Context(), holding(held(t, "b@example.net"), delivery(t, "", "a@example.org"))); err != nil {
		t.Fatal(err)
	}
	err := q.Put(t.Context(), holding(held(t, "c@example.net")))
	if fault.Of(err).Kind != fault.Capacity {
		t.Errorf("error %v", err)
	}
	list, err := q.Held(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	for after, want := range map[HoldID]int{list[0].ID - 1: 1, list[0].ID: 0} {
		if part, err := q.HeldBehind(t.Context(), after, 1); err != nil || len(part) != want {
			t.Errorf("behind %s: %v, %v", after, part, err)
		}
	}
	e, err := q.ShowHeld(t.Context(), list[0].ID)
	var text bytes.Buffer
	err = errors.Join(err, q.WriteHeld(t.Context(), list[0].ID, &text))
	if err != nil || e.Sender != "a@example.org" || text.Len() != e.Size {
		t.Errorf("%+v with %d octets (%v)", e, text.Len(), err)
	}
	if _, err := q.DropHeld(t.Context(), e.ID); err != nil {
		t.Fatal(err)
	}
	if err := q.Put(t.Context(), holding(held(t, "c@example.net"))); err != nil {
		t.Error(err)
	}
	for text, want := range map[string]HoldID{"h7": 7, "7": 0, "h0": 0, "h-1": 0, "hx": 0, "": 0} {
		if id, ok := ParseHoldID(text); ok != (want > 0) || ok && (id != want || id.String() != text) {
			t.Errorf("%q is %v %v", text, id, ok)
		}
	}
}

// What is left alone is looked at when it is due, and at its end, which comes
// before the next look here.
func TestHeldIsLookedAtInTime(t *testing.T) { each(t, testHeldIsLookedAtInTime) }

func testHeldIsLookedAtInTime(t *testing.T) {
	g := &gate{}
	var now atomic.Int64
	now.Store(time.Now().UnixNano())
	clock := func() time.Time { return time.Unix(0, now.Load()) }
	q := open(t, Config{Deliverer: newHop(nil), Decider: decider{reconsider: g.reconsider}, Look: time.Millisecond, Recheck: 40 * time.Minute, Clock: clock})
	start(t, q)
	h := held(t, "b@example.net")
	h.Since, h.Until = clock().UTC(), clock().Add(time.Hour).UTC()
	if err := q.Put(t.Context(), holding(h)); err != nil {
		t.Fatal(err)
	}
	list, err := q.Held(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if wait := list[0].Next.Sub(clock()); wait < 35*time.Minute || wait > 45*time.Minute {
		t.Errorf("looked at after %v", wait)
	}
	for looks, at := range []time.Duration{45 * time.Minute, 15 * time.Minute} {
		now.Add(int64(at))
		until(t, "a look", func() bool { return g.times() == looks+1 })
		until(t, "the next one planned", func() bool {
			list, err := q.Held(t.Context())
			return err == nil && len(list) == 1 && list[0].Next.After(clock())
		})
	}
}

// A decision that panics, or fails, leaves the message where it is.
func TestHeldSurvivesPanic(t *testing.T) { each(t, testHeldSurvivesPanic) }

func testHeldSurvivesPanic(t *testing.T) {
	var n atomic.Int64
	q := open(t, Config{Deliverer: newHop(nil), Look: time.Millisecond,
		Decider: decider{reconsider: func(context.Context, relay.Hold, relay.Order) (relay.Batch, error) {
			if n.Add(1) == 1 {
				panic("x")
			}
			return relay.Batch{}, errors.New("x")
		}}})
	start(t, q)
	if err := q.Put(t.Context(), holding(held(t, "b@example.net"))); err != nil {
		t.Fatal(err)
	}
	for round := int64(1); round <= 2; round++ {
		if err := q.Recheck(t.Context()); err != nil {
			t.Fatal(err)
		}
		until(t, "a look", func() bool { return n.Load() >= round })
		until(t, "the next one planned", func() bool {
			list, err := q.Held(t.Context())
			return err == nil && len(list) == 1 && list[0].Trouble != "" && list[0].Next.After(time.Now())
		})
	}
}

// crashHolds holds messages and releases every other until it is killed, and
// says which were accepted. Nothing is ever delivered, so that each recipient
// can be counted afterwards.
func crashHolds(dir string) error {
	refuse := newHop(func(string, int) error { return errors.New("not now") })
	q, err := Open(context.Background(), Config{
		Place: crashPlace(dir), Lease: crashLease, Deliverer: refuse, Retry: []time.Duration{time.Hour},
		Look: time.Millisecond, Recheck: time.Nanosecond, Log: slog.New(slog.DiscardHandler),
		Decider: decider{reconsider: func(_ context.Context, h relay.Hold, _ relay.Order) (relay.Batch, error) {
			return crashDecision(h), nil
		}},
	})
	if err != nil {
		return err
	}
	if err := q.Start(context.Background()); err != nil {
		return err
	}
	t := &testing.T{} // for the helpers; nothing fails here
	for n := 0; ; n++ {
		id := fmt.Sprintf("p%d-%d", os.Getpid(), n)
		to := []string{id + "-now@example.net", id + "-later@example.net", id + "-dead@example.net"}
		h := held(t, to...)
		h.Asked = []bool{false, false, true}
		b := holding(h, delivery(t, "", id+"-copy@example.net"))
		b.Questions = []relay.Question{
			returnable(t, id+"-dead@example.net", id),
			question(t, id+"-question@example.net", "<"+id+"@gw>", time.Hour),
			question(t, "asked-question@example.net", "<"+id+"@gw>", time.Hour), // by each process, after each crash
		}
		// The report comes twice, as from a server that got no answer the first time.
		back := report(t, id, id+"-dead@example.net")
		if q.Put(context.Background(), b) == nil && q.Put(context.Background(), back) == nil && q.Put(context.Background(), back) == nil {
			fmt.Println(id)
		}
	}
}

// crashDecision releases those who may have the message now, and returns it for those who were not
// reached.
func crashDecision(h relay.Hold) relay.Batch {
	unreached := map[string]bool{}
	for i, r := range h.Envelope.Recipients {
		unreached[r.Address.String()] = h.WhyUnreached(i) != ""
	}
	b := split(h, func(to string) bool { return strings.Contains(to, "-now@") || unreached[to] })
	for i, d := range b.Copies {
		if to := d.Recipients[0].Address.String(); unreached[to] {
			t := &testing.T{} // for the helpers; nothing fails here
			b.Copies[i] = delivery(t, "", strings.Replace(to, "-dead@", "-report@", 1))
		}
	}
	return b
}

// Whenever the process is killed: each recipient of an accepted message is in
// exactly one place, in the hold or in a copy, never in none and never in both.
func TestHoldCrash(t *testing.T) { each(t, testHoldCrash) }

func testHoldCrash(t *testing.T) {
	dir := t.TempDir()
	place, env := newCrashPlace(t, dir)
	var accepted []string
	for round := range crashRounds(t) {
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), crashEnv+"="+dir, crashEnv+"_HOLDS=yes", env)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			accepted = append(accepted, lines.Text())
			if n == 10+7*(round%20) {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("the process ended by itself: %v", err)
		}
	}
	s, err := OpenStore(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	places := map[string]int{}
	list, err := s.List(t.Context(), Filter{})
	if err != nil {
		t.Fatal(err)
	}
	released := 0
	for _, e := range list {
		for _, r := range e.Recipients {
			places[r.Address]++
			if strings.Contains(r.Address, "-now@") {
				released++
			}
		}
	}
	waiting, err := s.Held(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	waits, unreached := map[string]int{}, map[string]int{}
	for _, e := range waiting {
		for _, r := range e.Recipients {
			places[r.Address]++
			waits[r.Address]++
			var noted int
			if err := s.db.QueryRowContext(t.Context(), `SELECT count(*) FROM smimerelay_hold WHERE id = $1 AND hold LIKE '%"unreached"%'`, int64(e.ID)).Scan(&noted); err != nil {
				t.Fatal(err)
			}
			unreached[r.Address] += noted
		}
	}
	for _, id := range accepted {
		for _, form := range []string{"-now", "-later", "-copy", "-question"} {
			if n := places[id+form+"@example.net"]; n != 1 {
				t.Errorf("%s%s is in %d places", id, form, n)
			}
		}
		if n := waits[id+"-dead@example.net"] + places[id+"-report@example.net"]; n != 1 || waits[id+"-dead@example.net"] > unreached[id+"-dead@example.net"] {
			t.Errorf("%s was not reached, which was stored: %d holds and %d reports say so", id, unreached[id+"-dead@example.net"], places[id+"-report@example.net"])
		}
	}
	if n := places["asked-question@example.net"]; n != 1 {
		t.Errorf("the same recipient was asked %d times", n)
	}
	if len(accepted) < 70 || released == 0 {
		t.Errorf("%d accepted, %d released", len(accepted), released)
	}
	t.Logf("%d accepted, %d released, %d messages still held", len(accepted), released, len(waiting))
}

// What is in quarantine keeps what it is, waits for no certificate, and is not counted
// with what does.
func TestQuarantined(t *testing.T) { each(t, testQuarantined) }

func testQuarantined(t *testing.T) {
	h, g := newHop(nil), &gate{open: map[string]bool{"b@example.net": true}}
	q := open(t, Config{Deliverer: h, Decider: decider{reconsider: g.reconsider}, Look: time.Millisecond})
	start(t, q)
	kept := held(t, "b@example.net")
	kept.Quarantined, kept.Encrypted = true, true
	waits := held(t, "c@example.net")
	if err := q.Put(t.Context(), relay.Batch{Held: &waits, Quarantined: &kept}); err != nil {
		t.Fatal(err)
	}
	if n, err := q.CountHeld(t.Context()); err != nil || n.Waiting != 1 || n.Quarantined != 1 || !n.Oldest.Equal(waits.Since) {
		t.Errorf("%+v, %v", n, err)
	}
	if err := q.Recheck(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "a look at the one that waits", func() bool { return g.times() > 0 })
	if g.holds[0].Quarantined {
		t.Error("a recheck looks at what is in quarantine")
	}
	list, err := q.Held(t.Context())
	if err != nil || len(list) != 2 || list[0].Quarantined || !list[1].Quarantined || !list[1].Next.Equal(kept.Until.Truncate(time.Millisecond)) {
		t.Fatalf("%+v, %v", list, err)
	}
	if err := q.Give(t.Context(), list[1].ID, relay.Order{Verb: relay.Release}); err != nil {
		t.Fatal(err)
	}
	h.wait(t)
	g.mu.Lock()
	defer g.mu.Unlock()
	last := len(g.holds) - 1
	if !g.holds[last].Quarantined || !g.holds[last].Encrypted || g.orders[last].Verb != relay.Release {
		t.Errorf("%+v %+v", g.holds[last], g.orders[last])
	}
}

// Of two who decide on the same held message at the same time, as two nodes may, the second
// finds that it is not as it was, and changes nothing.
func TestHoldIsDecidedOnce(t *testing.T) { each(t, testHoldIsDecidedOnce) }

func testHoldIsDecidedOnce(t *testing.T) {
	q := open(t, Config{Deliverer: newHop(nil)})
	defer stop(t, q)
	if err := q.Put(t.Context(), holding(held(t, "b@example.net", "c@example.net"))); err != nil {
		t.Fatal(err)
	}
	var read [2]*heldMessage
	for i := range read {
		var err error
		if read[i], err = q.loadHold(t.Context(), 1, nil); err != nil || read[i] == nil {
			t.Fatal(read[i], err)
		}
	}
	for _, s := range read {
		if err := q.resolve(t.Context(), s, split(s.hold, func(to string) bool { return to == "b@example.net" })); err != nil {
			t.Fatal(err)
		}
	}
	if n := length(t, q); n != 1 {
		t.Errorf("%d copies leave, want 1", n)
	}
	if list, err := q.Held(t.Context()); err != nil || len(list) != 1 || len(list[0].Recipients) != 1 {
		t.Errorf("held %+v (%v)", list, err)
	}
}
