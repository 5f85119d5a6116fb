package queue

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/relay"
)

// The variable that makes a process of this test the one to be killed.
const crashEnv = "QUEUE_CRASH_DIR"

func TestMain(m *testing.M) {
	if url := os.Getenv(nodeEnv); url != "" {
		if err := runNode(url); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if dir := os.Getenv(memoryEnv); dir != "" {
		if err := memoryChild(dir, os.Getenv(memoryEnv+"_HOP")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if dir := os.Getenv(crashEnv); dir != "" {
		child := crashChild
		if os.Getenv(crashEnv+"_HOLDS") != "" {
			child = crashHolds
		}
		if err := child(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	code := m.Run()
	if err := stopServer(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// crashRounds is how often the process is killed: a few times, or as
// `make test-crash` says.
func crashRounds(t *testing.T) int {
	t.Helper()
	text := os.Getenv("CRASH_ROUNDS")
	if text == "" {
		return 4
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("CRASH_ROUNDS: %q: write a number of rounds, such as 200", text)
	}
	return n
}

// journal is a next hop that writes down what it took.
type journal struct {
	mu   sync.Mutex
	file *os.File
	n    int
}

func (j *journal) Deliver(_ context.Context, d relay.Delivery) ([]error, []bool) {
	errs := make([]error, len(d.Recipients))
	j.mu.Lock()
	defer j.mu.Unlock()
	_ = j.file.Sync() // it takes its time: a crash finds some on their way
	for i, r := range d.Recipients {
		if j.n++; j.n%3 == 0 {
			errs[i] = fmt.Errorf("not this time")
			continue
		}
		if _, err := fmt.Fprintln(j.file, r.Address, os.Getpid()); err != nil {
			errs[i] = err
		}
	}
	return errs, nil
}

// crashChild puts messages until it is killed, and says which were accepted.
func crashChild(dir string) error {
	file, err := os.OpenFile(filepath.Join(dir, "delivered"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	q, err := Open(context.Background(), Config{
		Place: crashPlace(dir), Handed: crashNotes(dir), Lease: crashLease, Tend: 100 * time.Millisecond, Deliverer: &journal{file: file},
		Retry: []time.Duration{time.Millisecond}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	if err := q.Start(context.Background()); err != nil {
		return err
	}
	var n atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			t := &testing.T{} // for the helpers; nothing fails here
			for {
				i := n.Add(1)
				to := fmt.Sprintf("p%d-%d@example.net", os.Getpid(), i)
				b := batch(delivery(t, "a@example.org", to, "second-"+to))
				if i%2 == 0 { // as the milter stores several copies of a message
					b = batch(delivery(t, "a@example.org", to), delivery(t, "a@example.org", "second-"+to))
				}
				if q.Put(context.Background(), b) == nil {
					fmt.Println(to)
				}
			}
		})
	}
	wg.Wait()
	return nil
}

// crashURL is the variable with the database of the process that is killed; without it
// the queue is a file.
const crashURL = "QUEUE_CRASH_URL"

// crashLease is short, so that nothing is waited for.
const crashLease = time.Second

// crashPlace is where the queue of the process that is killed is.
func crashPlace(dir string) Place {
	if url := os.Getenv(crashURL); url != "" {
		return Place{URL: url}
	}
	return Place{Path: filepath.Join(dir, "queue.db")}
}

// crashNotes is where it notes what it has handed on.
func crashNotes(dir string) string { return filepath.Join(dir, "handed") }

// newCrashPlace makes a place for it, and says how the process finds it.
func newCrashPlace(t *testing.T, dir string) (place Place, env string) {
	t.Helper()
	if place = newPlace(t); place.URL == "" {
		place.Path = filepath.Join(dir, "queue.db")
	}
	return place, crashURL + "=" + place.URL
}

// How many recipients may get a message twice: on average the two of one delivery a kill, which the
// next hop had taken when the process was killed before it could note it; after one kill those of
// all deliveries that may be under way. 7 were the most in 200 kills on a machine that did other
// work.
const (
	crashTwice     = 2
	crashTwiceMost = 2 * 25
)

// took is how often a recipient got a message, and which process was the first to bring it.
type took struct {
	times int
	first string
}

// readDelivered is what each recipient got.
func readDelivered(t *testing.T, dir string) map[string]took {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "delivered"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]took{}
	for line := range strings.Lines(string(text)) {
		to, process, _ := strings.Cut(strings.TrimSpace(line), " ")
		all[to] = took{all[to].times + 1, cmp.Or(all[to].first, process)}
	}
	return all
}

// Whatever Put accepted before the process was killed is delivered, at least once, with
// all its copies; of what it did not accept, all copies or none.
func TestCrash(t *testing.T) { each(t, testCrash) }

func testCrash(t *testing.T) {
	dir := t.TempDir()
	place, env := newCrashPlace(t, dir)
	accepted := map[string]bool{}
	for round := range crashRounds(t) {
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), crashEnv+"="+dir, env)
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
			accepted[lines.Text()] = true
			if n == 20+17*(round%20) {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("the process ended by itself: %v", err)
		}
	}
	h := newHop(nil)
	h.got = make(chan relay.Delivery, 100_000)
	q := open(t, Config{Place: place, Handed: crashNotes(dir), Deliverer: h, Lease: crashLease, Tend: 100 * time.Millisecond})
	left, err := q.Len(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	start(t, q)
	drained(t, q)

	delivered := readDelivered(t, dir)
	for to, n := range h.attempts {
		delivered[to] = took{delivered[to].times + n, cmp.Or(delivered[to].first, "the last")}
	}
	twice, after := 0, map[string]int{}
	for _, got := range delivered {
		twice += got.times - 1
		after[got.first] += got.times - 1 // its record was lost when that process was killed
	}
	most := slices.Max(slices.Collect(maps.Values(after)))
	for to := range accepted {
		for _, to := range []string{to, "second-" + to} {
			if delivered[to].times == 0 {
				t.Errorf("%s was accepted and never delivered", to)
			}
		}
	}
	for to := range delivered {
		if to = strings.TrimPrefix(to, "second-"); delivered[to].times == 0 || delivered["second-"+to].times == 0 {
			t.Errorf("of %s one copy was stored without the other", to)
		}
	}
	if most > crashTwiceMost {
		t.Errorf("%d recipients got a message twice after one kill, %d may", most, crashTwiceMost)
	}
	if may := crashTwice * crashRounds(t); twice > may {
		t.Errorf("%d recipients got a message twice, %d may", twice, may)
	}
	if len(accepted) < 100 {
		t.Errorf("only %d messages were accepted", len(accepted))
	}
	t.Logf("%d messages accepted, %d left by the last crash, %d deliveries twice, at most %d after one kill", len(accepted), left, twice, most)
}
