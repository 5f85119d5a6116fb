package queue

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/postgresdb"
	"github.com/smimerelay/smimerelay/internal/testing/pgtest"
	"github.com/smimerelay/smimerelay/relay"
)

// The variables that make a process of this test a node on a database.
const (
	nodeEnv   = "QUEUE_NODE_URL"
	nodeTable = "QUEUE_NODE_PUTS" // "yes": it also takes mail in
)

// shutter is a lock that a test takes to have deliveries wait before they are made.
const shutter = "4711"

// testLease is the lease of nodes in tests.
const testLease = time.Second

// sink is a next hop that writes down, in the same database, what it got and who brought
// it: it is there when a node is killed. It asks, as the real one does, whether the
// delivery is still the node's.
type sink struct {
	db   *sql.DB
	node string
}

func (s *sink) Deliver(ctx context.Context, d relay.Delivery) ([]error, []bool) {
	errs := make([]error, len(d.Recipients))
	_, err := s.db.ExecContext(ctx, `SELECT pg_advisory_xact_lock_shared(`+shutter+`)`)
	if err == nil {
		err = relay.CheckClaim(ctx)
	}
	for i, r := range d.Recipients {
		if errs[i] = err; err == nil {
			_, errs[i] = s.db.ExecContext(ctx, `INSERT INTO test_sink (address, node) VALUES ($1, $2)`, r.Address.String(), s.node)
		}
	}
	return errs, nil
}

// openSink makes the table of the sink and connects to it.
func openSink(ctx context.Context, url, node string) (*sink, error) {
	cfg, err := postgresdb.Parse(url, "")
	if err != nil {
		return nil, err
	}
	db, err := postgresdb.Open(ctx, cfg, 4)
	if err != nil {
		return nil, err
	}
	_, err = db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS test_sink (address TEXT, node TEXT)`)
	return &sink{db, node}, err
}

// runNode works on the queue of a database until it is killed, and says which messages
// it accepted.
func runNode(url string) error {
	ctx := context.Background()
	node := fmt.Sprint("p", os.Getpid())
	s, err := openSink(ctx, url, node)
	if err != nil {
		return err
	}
	q, err := Open(ctx, Config{
		Place: Place{URL: url}, Deliverer: s, Retry: []time.Duration{10 * time.Millisecond}, Workers: 4,
		Look: 20 * time.Millisecond, Tend: 100 * time.Millisecond, Lease: testLease, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	if err := q.Start(ctx); err != nil {
		return err
	}
	fmt.Println("ready")
	if os.Getenv(nodeTable) == "" {
		select {}
	}
	var n atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			t := &testing.T{} // for the helpers; nothing fails here
			for {
				to := fmt.Sprintf("%s-%d@example.net", node, n.Add(1))
				if q.Put(ctx, batch(delivery(t, "a@example.org", to))) == nil {
					fmt.Println(to)
				}
			}
		})
	}
	wg.Wait()
	return nil
}

// node is a process that runs runNode.
type node struct {
	t   *testing.T
	cmd *exec.Cmd

	mu       sync.Mutex
	accepted []string
	changed  chan struct{} // of accepted
	done     chan struct{}
}

func startNode(t *testing.T, url string, puts bool) *node {
	t.Helper()
	n := &node{t: t, cmd: exec.Command(os.Args[0], "-test.run=^$"), changed: make(chan struct{}, 1), done: make(chan struct{})}
	n.cmd.Env = append(os.Environ(), nodeEnv+"="+url)
	if puts {
		n.cmd.Env = append(n.cmd.Env, nodeTable+"=yes")
	}
	n.cmd.Stderr = os.Stderr
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := n.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "ready" {
		t.Fatalf("the node says %q (%v)", lines.Text(), lines.Err())
	}
	go func() {
		defer close(n.done)
		for lines.Scan() {
			n.mu.Lock()
			n.accepted = append(n.accepted, lines.Text())
			n.mu.Unlock()
			select {
			case n.changed <- struct{}{}:
			default:
			}
		}
	}()
	t.Cleanup(n.kill)
	return n
}

// accepts waits until the node has accepted so many more messages.
func (n *node) accepts(more int) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), longestWait)
	defer cancel()
	for want := len(n.all()) + more; len(n.all()) < want; {
		select {
		case <-n.changed:
		case <-n.done:
			n.t.Fatal("the node ended")
		case <-ctx.Done():
			n.t.Fatalf("the node has accepted %d messages, want %d", len(n.all()), want)
		}
	}
}

func (n *node) all() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.accepted
}

func (n *node) signal(s syscall.Signal) {
	n.t.Helper()
	if err := n.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		n.t.Error(err)
	}
}

// kill ends the node at once, and reads the rest of what it said.
func (n *node) kill() {
	n.signal(syscall.SIGKILL)
	<-n.done
	_ = n.cmd.Wait() // killed
}

// judge waits until everything is delivered, and reports what was lost and how many got
// something twice.
func judge(t *testing.T, url string, accepted []string) (twice int) {
	t.Helper()
	return judgeWith(t, url, accepted, newHop(nil))
}

// judgeWith is judge with a next hop that has got some of it already.
func judgeWith(t *testing.T, url string, accepted []string, h *hop) (twice int) {
	t.Helper()
	s, err := openSink(t.Context(), url, "")
	if err != nil {
		t.Fatal(err)
	}
	defer s.db.Close()
	h.got = make(chan relay.Delivery, 100_000)
	q := open(t, Config{Place: Place{URL: url}, Deliverer: h, Tend: 50 * time.Millisecond, Lease: testLease})
	start(t, q)
	drained(t, q)
	got := map[string]int{}
	rows, err := s.db.QueryContext(t.Context(), `SELECT address, count(*) FROM test_sink GROUP BY address`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var address string
		var n int
		if err := rows.Scan(&address, &n); err != nil {
			t.Fatal(err)
		}
		got[address] = n
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for to, n := range h.attempts {
		got[to] += n
	}
	for _, to := range accepted {
		switch n := got[to]; {
		case n == 0:
			t.Errorf("%s was accepted and never delivered", to)
		case n > 1:
			twice += n - 1
		}
	}
	t.Logf("%d messages accepted, %d delivered twice", len(accepted), twice)
	return twice
}

// workers of a node in tests: as many attempts may be under way when it is killed.
const nodeWorkers = 5

// Of three nodes one is killed under load: the others take over what it had, when its
// lease is over.
func TestNodeIsKilled(t *testing.T) {
	url := newDatabase(t).URL
	a, b, c := startNode(t, url, true), startNode(t, url, false), startNode(t, url, false)
	a.accepts(200)
	b.kill()
	a.accepts(100)
	a.kill()
	drainedBy(t, url)
	c.kill()
	if twice := judge(t, url, a.all()); twice > 2*nodeWorkers {
		t.Errorf("%d delivered twice, more than were under way", twice)
	}
}

// drainedBy waits until the nodes that run have emptied the queue.
func drainedBy(t *testing.T, url string) {
	t.Helper()
	s, err := OpenStore(t.Context(), Place{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), longestWait)
	defer cancel()
	for n := -1; n != 0; {
		if n, err = s.Len(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// A node that is stopped in the middle of a delivery until its lease is over finds, when it
// goes on, that another one has made it, and does not make it again.
func TestNodeIsPaused(t *testing.T) {
	url := newDatabase(t).URL
	s, err := openSink(t.Context(), url, "")
	if err != nil {
		t.Fatal(err)
	}
	defer s.db.Close()
	shut, err := s.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer shut.Close()
	if _, err := shut.ExecContext(t.Context(), `SELECT pg_advisory_lock(`+shutter+`)`); err != nil {
		t.Fatal(err)
	}
	a := startNode(t, url, true)
	a.accepts(50)
	waiting := 0
	for waiting < nodeWorkers-1 {
		if err := s.db.QueryRowContext(t.Context(), `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
	a.signal(syscall.SIGSTOP)
	// Another node, whose next hop is this process.
	h := newHop(nil)
	h.got = make(chan relay.Delivery, 100_000)
	q := open(t, Config{Place: Place{URL: url}, Deliverer: h, Tend: 50 * time.Millisecond, Lease: testLease})
	if err := q.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	drained(t, q)
	stop(t, q)
	if _, err := shut.ExecContext(t.Context(), `SELECT pg_advisory_unlock(`+shutter+`)`); err != nil {
		t.Fatal(err)
	}
	a.signal(syscall.SIGCONT)
	ctx, cancel := context.WithTimeout(t.Context(), longestWait)
	defer cancel()
	// The workers have to end what they were about before they deliver others.
	for delivered := 0; delivered < 5*nodeWorkers; {
		if err := s.db.QueryRowContext(ctx, `SELECT count(*) FROM test_sink`).Scan(&delivered); err != nil {
			t.Fatal(err)
		}
	}
	a.kill()
	accepted := a.all()
	twice := judgeWith(t, url, accepted, h)
	if twice > nodeWorkers { // those under way when it was killed
		t.Errorf("%d delivered twice", twice)
	}
	for _, to := range accepted[:50] {
		if h.attempts[to] > 0 && inSink(t, s.db, to) > 0 {
			t.Errorf("%s is delivered by the node that was taken over from", to)
		}
	}
}

func inSink(t *testing.T, db *sql.DB, to string) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM test_sink WHERE address = $1`, to).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// PostgreSQL crashes under load and is started again.
func TestDatabaseRestarts(t *testing.T) {
	own, err := pgtest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopped(t, own) })
	url := own.Database(t)
	nodes := []*node{startNode(t, url, true), startNode(t, url, true), startNode(t, url, false)}
	for range 2 {
		nodes[0].accepts(50)
		if err := own.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	nodes[0].accepts(50)
	nodes[1].accepts(50)
	// What is committed and not reported as such is delivered too, and is no duplicate.
	twice := judge(t, url, killAll(nodes))
	if twice > 5*nodeWorkers {
		t.Errorf("%d delivered twice, more than were under way", twice)
	}
}

// The primary dies under load, and its synchronous replica takes over.
func TestFailOver(t *testing.T) {
	primary, err := pgtest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopped(t, primary) })
	database := primary.Database(t)
	replica := primary.Replica(t)
	t.Cleanup(func() { stopped(t, replica) })
	url := primary.Either(t, replica, database)
	nodes := []*node{startNode(t, url, true), startNode(t, url, true), startNode(t, url, false)}
	nodes[0].accepts(100)
	primary.Crash()
	replica.Promote(t)
	nodes[0].accepts(50)
	nodes[1].accepts(50)
	twice := judge(t, url, killAll(nodes))
	if twice > 4*nodeWorkers {
		t.Errorf("%d delivered twice, more than were under way", twice)
	}
}

func killAll(nodes []*node) (accepted []string) {
	for _, n := range nodes {
		n.kill()
		accepted = append(accepted, n.all()...)
	}
	return accepted
}

func stopped(t *testing.T, s *pgtest.Server) {
	t.Helper()
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
}
