package queue

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/testing/pgtest"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// hop is a next hop: answer says what it makes of a recipient at an attempt.
type hop struct {
	answer func(to string, attempt int) error

	mu       sync.Mutex
	attempts map[string]int
	relays   bool // does not know NOTIFY
	got      chan relay.Delivery
}

func newHop(answer func(string, int) error) *hop {
	return &hop{answer: answer, attempts: map[string]int{}, got: make(chan relay.Delivery, 1000)}
}

func (h *hop) Deliver(ctx context.Context, d relay.Delivery) ([]error, []bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	errs := make([]error, len(d.Recipients))
	taken := whole(ctx, d)
	taken.Recipients = nil
	for i, r := range d.Recipients {
		to := r.Address.String()
		h.attempts[to]++
		if h.answer != nil {
			errs[i] = h.answer(to, h.attempts[to])
		}
		if errs[i] == nil {
			taken.Recipients = append(taken.Recipients, r)
		}
	}
	if len(taken.Recipients) > 0 {
		h.got <- taken
	}
	return errs, slices.Repeat([]bool{h.relays}, len(errs))
}

// whole is a delivery with its message read, also where it is to be read in pieces.
func whole(ctx context.Context, d relay.Delivery) relay.Delivery {
	if d.Stored == nil {
		return d
	}
	var text []byte
	err := d.Stored.Pieces(ctx, func(p []byte) error { text = append(text, p...); return nil })
	if err == nil && len(text) == d.Stored.Size && bytes.HasPrefix(text, d.Stored.Header) {
		d.Message, err = message.Parse(text)
	}
	if err != nil || d.Message == nil {
		panic(fmt.Sprintf("%d octets of %d in pieces (%v)", len(text), d.Stored.Size, err))
	}
	return d
}

// longestWait is how long a test waits for what must happen.
const longestWait = time.Minute

func (h *hop) wait(t *testing.T) relay.Delivery {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), longestWait)
	defer cancel()
	select {
	case d := <-h.got:
		return d
	case <-ctx.Done():
		t.Fatal("nothing is delivered")
		return relay.Delivery{}
	}
}

func addr(t testing.TB, s string) address.Address {
	t.Helper()
	if s == "" {
		return address.Null
	}
	a, err := address.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func delivery(t testing.TB, from string, to ...string) relay.Delivery {
	t.Helper()
	m, err := message.Parse([]byte("Subject: x\r\n\r\nhello " + strings.Join(to, " ") + "\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	d := relay.Delivery{Sender: addr(t, from), Message: m, Params: relay.MailParams{EnvID: "e1", Return: "HDRS"}}
	for _, r := range to {
		d.Recipients = append(d.Recipients, relay.Recipient{
			Address: addr(t, r), Notify: []string{"FAILURE", "DELAY"}, OriginalType: "rfc822", Original: "was-" + r,
		})
	}
	return d
}

// each runs a test on both engines.
func each(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	for _, name := range []string{"sqlite", onPostgreSQL} {
		t.Run(name, test)
	}
}

// onPostgreSQL is the name of tests for which newPlace makes a database.
const onPostgreSQL = "postgresql"

// newPlace is where an empty queue may be, on the engine that the test is for.
func newPlace(t testing.TB) Place {
	t.Helper()
	if strings.Contains(t.Name(), "/"+onPostgreSQL) {
		return newDatabase(t)
	}
	return Place{Path: filepath.Join(t.TempDir(), "queue.db")}
}

// newDatabase is an empty queue in PostgreSQL.
func newDatabase(t testing.TB) Place {
	t.Helper()
	s, err := server()
	if err != nil {
		t.Fatal(err)
	}
	template.Do(func() {
		templateURL = s.Database(t)
		made, err := OpenStore(t.Context(), Place{URL: templateURL})
		if err == nil {
			err = made.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	return Place{URL: s.Copy(t, templateURL)}
}

var (
	// server is one for all tests; TestMain stops it.
	server = sync.OnceValues(func() (*pgtest.Server, error) {
		s, err := pgtest.Start()
		stopServer = s.Stop
		return s, err
	})
	// stopServer stops the server if there is one.
	stopServer = func() error { return nil }
	// templateURL is a database with empty tables: to make them takes a while.
	template    sync.Once
	templateURL string
)

func open(t testing.TB, c Config) *Queue {
	t.Helper()
	if c.Place == (Place{}) {
		c.Place = newPlace(t)
	}
	if c.Retry == nil {
		c.Retry = []time.Duration{time.Millisecond}
	}
	if c.Look == 0 {
		c.Look = time.Millisecond
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.changed = changes.beat
	q, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// start starts q and stops it at the end of the test.
func start(t testing.TB, q *Queue) {
	t.Helper()
	if err := q.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, q) })
}

func stop(t testing.TB, q *Queue) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := q.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// drained waits until the queue is empty, for as long as it gets shorter: how long
// that takes depends on how much is in it and on what else the machine does.
func drained(t testing.TB, q *Queue) {
	t.Helper()
	for n := length(t, q); n > 0; {
		was := n
		until(t, fmt.Sprintf("fewer deliveries in the queue than %d", was), func() bool {
			n = length(t, q)
			return n < was
		})
	}
}

func length(t testing.TB, q *Queue) int {
	t.Helper()
	n, err := q.Len(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// changes is called by every queue of the tests that something may have changed.
var changes = pulse{next: make(chan struct{})}

// pulse wakes those who wait for it.
type pulse struct {
	mu   sync.Mutex
	next chan struct{}
}

func (p *pulse) beat() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.next)
	p.next = make(chan struct{})
}

func (p *pulse) wait() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.next
}

// until waits until something is so, which it may have become with each change.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), longestWait)
	defer cancel()
	for {
		changed := changes.wait()
		if ok() {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestPutDelivers(t *testing.T) { each(t, testPutDelivers) }

func testPutDelivers(t *testing.T) {
	h := newHop(nil)
	q := open(t, Config{Deliverer: h})
	start(t, q)
	want := delivery(t, "a@example.org", "b@example.net", `"c d"@example.net`)
	want.Listener, want.Direction, want.Recipients[1].Rule = "out", "outbound", "vip"
	if err := q.Put(t.Context(), batch(want)); err != nil {
		t.Fatal(err)
	}
	got := h.wait(t)
	if string(got.Message.Bytes()) != string(want.Message.Bytes()) {
		t.Errorf("message %q, want %q", got.Message.Bytes(), want.Message.Bytes())
	}
	if got.Sender.String() != "a@example.org" || got.Params != want.Params {
		t.Errorf("sender %v, params %v", got.Sender, got.Params)
	}
	if got.Listener != "out" || got.Direction != "outbound" || got.Recipients[0].Rule != "" || got.Recipients[1].Rule != "vip" {
		t.Errorf("what it is routed by: %s, %s, %+v", got.Listener, got.Direction, got.Recipients)
	}
	if len(got.Recipients) != 2 || got.Recipients[1].Address.String() != `"c d"@example.net` {
		t.Fatalf("recipients %v", got.Recipients)
	}
	r := got.Recipients[0]
	if strings.Join(r.Notify, " ") != "FAILURE DELAY" || r.OriginalType != "rfc822" || r.Original != "was-b@example.net" {
		t.Errorf("recipient %+v", r)
	}
	drained(t, q)
}

// Each recipient has a result of its own: one delivered, one deferred and
// delivered later, one refused, which is reported to the sender.
func TestResults(t *testing.T) { each(t, testResults) }

func testResults(t *testing.T) {
	h := newHop(func(to string, attempt int) error {
		switch {
		case to == "later@example.net" && attempt < 3:
			return fault.New(fault.NextHop, "busy", nil)
		case to == "never@example.net":
			return &fault.Error{Kind: fault.Refused, Public: "no", Reply: fault.Reply{Code: 550, Enhanced: [3]int{5, 1, 1}, Text: "no such user"}}
		}
		return nil
	})
	var failed []relay.RecipientStatus
	q := open(t, Config{Deliverer: h, Decider: decider{report: func(d relay.Delivery, e relay.Event) (relay.Delivery, bool, error) {
		failed = e.About
		return delivery(t, "", d.Sender.String()), true, nil
	}}})
	start(t, q)
	if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", "now@example.net", "later@example.net", "never@example.net"))); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for range 3 {
		for _, r := range h.wait(t).Recipients {
			got[r.Address.String()]++
		}
	}
	drained(t, q)
	if len(got) != 3 || got["now@example.net"] != 1 || got["later@example.net"] != 1 || got["a@example.org"] != 1 {
		t.Errorf("delivered %v", got)
	}
	if len(failed) != 1 || failed[0].Recipient.Address.String() != "never@example.net" || failed[0].Recipient.Original != "was-never@example.net" {
		t.Errorf("reported %v", failed)
	}
	if r := relay.ReplyFor(failed[0].Err); r.Enhanced != [3]int{5, 1, 1} {
		t.Errorf("the report has the reply %v", r)
	}
}

func TestNullSenderIsNeverBounced(t *testing.T) { each(t, testNullSenderIsNeverBounced) }

func testNullSenderIsNeverBounced(t *testing.T) {
	h := newHop(func(string, int) error { return fault.New(fault.Refused, "no", nil) })
	q := open(t, Config{Deliverer: h, Decider: decider{report: func(relay.Delivery, relay.Event) (relay.Delivery, bool, error) {
		t.Error("bounced a bounce")
		return relay.Delivery{}, false, nil
	}}})
	start(t, q)
	if err := q.Put(t.Context(), batch(delivery(t, "", "b@example.net"))); err != nil {
		t.Fatal(err)
	}
	drained(t, q)
}

func TestLifetime(t *testing.T) { each(t, testLifetime) }

func testLifetime(t *testing.T) {
	var mu sync.Mutex
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	clock := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	h := newHop(func(to string, _ int) error {
		if to == "a@example.org" {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(time.Hour) // at each attempt
		return fault.New(fault.NextHop, "busy", nil)
	})
	var reply fault.Reply
	q := open(t, Config{Deliverer: h, Lifetime: 4 * time.Hour, Clock: clock, Decider: decider{report: func(d relay.Delivery, e relay.Event) (relay.Delivery, bool, error) {
		reply = relay.ReplyFor(e.About[0].Err)
		return delivery(t, "", d.Sender.String()), true, nil
	}}})
	start(t, q)
	if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", "b@example.net"))); err != nil {
		t.Fatal(err)
	}
	if d := h.wait(t); d.Recipients[0].Address.String() != "a@example.org" {
		t.Errorf("delivered to %v", d.Recipients)
	}
	drained(t, q)
	if reply.Enhanced != [3]int{5, 4, 7} || !strings.Contains(reply.Text, "busy") {
		t.Errorf("reply %v", reply)
	}
	if n := h.attempts["b@example.net"]; n != 4 {
		t.Errorf("%d attempts in 4 hours, want 4", n)
	}
}

// A report that cannot be made must not cost the recipients.
func TestBounceFailureKeepsRecipients(t *testing.T) { each(t, testBounceFailureKeepsRecipients) }

func testBounceFailureKeepsRecipients(t *testing.T) {
	h := newHop(func(to string, _ int) error {
		if to == "a@example.org" {
			return nil
		}
		return fault.New(fault.Refused, "no", nil)
	})
	var mu sync.Mutex
	fails := 2
	q := open(t, Config{Deliverer: h, Decider: decider{report: func(d relay.Delivery, _ relay.Event) (relay.Delivery, bool, error) {
		mu.Lock()
		defer mu.Unlock()
		if fails--; fails >= 0 {
			return relay.Delivery{}, false, errors.New("no")
		}
		return delivery(t, "", d.Sender.String()), true, nil
	}}})
	start(t, q)
	if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", "b@example.net"))); err != nil {
		t.Fatal(err)
	}
	if d := h.wait(t); d.Recipients[0].Address.String() != "a@example.org" {
		t.Errorf("delivered to %v", d.Recipients)
	}
	drained(t, q)
}

func TestPanicIsTemporary(t *testing.T) { each(t, testPanicIsTemporary) }

func testPanicIsTemporary(t *testing.T) {
	h := newHop(func(_ string, attempt int) error {
		if attempt == 1 {
			panic("oh")
		}
		return nil
	})
	q := open(t, Config{Deliverer: h})
	start(t, q)
	if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", "b@example.net"))); err != nil {
		t.Fatal(err)
	}
	h.wait(t)
	drained(t, q)
}

func TestFull(t *testing.T) { each(t, testFull) }

func testFull(t *testing.T) {
	q := open(t, Config{Deliverer: newHop(nil), MaxSize: 3})
	defer stop(t, q)
	if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", "b@example.net"), delivery(t, "a@example.org", "c@example.net"))); err != nil {
		t.Fatal(err)
	}
	err := q.Put(t.Context(), batch(delivery(t, "a@example.org", "d@example.net"), delivery(t, "a@example.org", "e@example.net")))
	if fault.Of(err).Kind != fault.Capacity {
		t.Errorf("error %v", err)
	}
	if n, err := q.Len(t.Context()); n != 2 || err != nil {
		t.Errorf("%d deliveries (%v) after a refused pair, want 2", n, err)
	}
}

// All or none: a delivery that cannot be stored takes the others with it.
func TestPutIsOneTransaction(t *testing.T) { each(t, testPutIsOneTransaction) }

func testPutIsOneTransaction(t *testing.T) {
	q := open(t, Config{Deliverer: newHop(nil)})
	defer stop(t, q)
	bad := delivery(t, "a@example.org", "c@example.net")
	bad.Message = nil
	if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", "b@example.net"), bad)); err == nil {
		t.Error("stored a delivery without a message")
	}
	if n, err := q.Len(t.Context()); n != 0 || err != nil {
		t.Errorf("%d deliveries (%v), want none", n, err)
	}
}

func TestDiskFull(t *testing.T) {
	q := open(t, Config{Deliverer: newHop(nil)})
	defer stop(t, q)
	if _, err := q.db.Exec(`PRAGMA max_page_count = 60`); err != nil {
		t.Fatal(err)
	}
	d := delivery(t, "a@example.org", "b@example.net")
	m, err := message.Parse([]byte("Subject: x\r\n\r\n" + strings.Repeat("x\r\n", 200_000)))
	if err != nil {
		t.Fatal(err)
	}
	d.Message = m
	if err := q.Put(t.Context(), batch(d)); fault.Of(err).Kind != fault.Capacity {
		t.Errorf("error %v (%v)", err, fault.Of(err).Kind)
	}
	q.config.MinFree = 1 << 62
	if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", "b@example.net"))); fault.Of(err).Kind != fault.Capacity {
		t.Errorf("error %v (%v)", err, fault.Of(err).Kind)
	}
}

func TestOneOwner(t *testing.T) {
	q := open(t, Config{Deliverer: newHop(nil)})
	defer stop(t, q)
	c := q.config
	if _, err := Open(t.Context(), c); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("error %v", err)
	}
}

// Changes that share a commit share nothing else: one that fails, or was given
// up, leaves the others alone.
func TestSharedCommit(t *testing.T) { each(t, testSharedCommit) }

func testSharedCommit(t *testing.T) {
	h := newHop(nil)
	q := open(t, Config{Deliverer: h})
	bad := delivery(t, "a@example.org") // without a recipient
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	// The connection is taken, so that all of them wait for one commit.
	conn, err := q.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", "good@example.net"))); err != nil {
				t.Errorf("good %d: %v", i, err)
			}
		})
		wg.Go(func() {
			if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", "half@example.net"), bad)); err == nil {
				t.Errorf("bad %d is stored", i)
			}
		})
		wg.Go(func() {
			if err := q.Put(gone, batch(delivery(t, "a@example.org", "gone@example.net"))); err == nil {
				t.Errorf("given up, and stored %d", i)
			}
		})
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	start(t, q)
	for range 10 {
		h.wait(t)
	}
	drained(t, q)
	if len(h.attempts) != 1 || h.attempts["good@example.net"] != 10 {
		t.Errorf("delivered %v", h.attempts)
	}
}

// A panic in one change fails that change.
func TestPanicInChange(t *testing.T) { each(t, testPanicInChange) }

func testPanicInChange(t *testing.T) {
	q := open(t, Config{Deliverer: newHop(nil)})
	defer stop(t, q)
	if err := q.writer.write(t.Context(), func(*sql.Tx) error { panic("oh") }); err == nil {
		t.Error("no error")
	}
	if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", "b@example.net"))); err != nil {
		t.Error(err)
	}
}

func TestPutAfterStop(t *testing.T) { each(t, testPutAfterStop) }

func testPutAfterStop(t *testing.T) {
	q := open(t, Config{Deliverer: newHop(nil)})
	stop(t, q)
	if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", "b@example.net"))); relay.ReplyFor(err).Code != 451 {
		t.Errorf("error %v", err)
	}
}
