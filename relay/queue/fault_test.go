package queue

import (
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
)

// The variable that makes a process of this test one whose disk fails.
const faultEnv = "QUEUE_FAULT"

// inFaultyProcess runs the test in a process of its own, where breakDisk breaks
// nothing but what is tested. It returns false in the process that only waits.
func inFaultyProcess(t *testing.T) bool {
	t.Helper()
	if os.Getenv(faultEnv) != "" {
		signal.Ignore(syscall.SIGXFSZ)
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), faultEnv+"=yes")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// breakDisk has every write of this process to a file fail until mend.
func breakDisk(t *testing.T) (mend func()) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	set := func(cur uint64) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: cur, Max: before.Max}); err != nil {
			t.Fatal(err)
		}
	}
	set(1)
	return sync.OnceFunc(func() { set(before.Cur) })
}

// A disk that fails while deliveries are under way, when it is time to
// record what became of them, costs nothing: what the next hop took it gets once,
// what it did not take is tried again, and everybody can see meanwhile.
func TestDiskFailsDuringDelivery(t *testing.T) {
	if !inFaultyProcess(t) {
		return
	}
	under, goOn := make(chan string, 10), make(chan struct{})
	h := newHop(func(to string, attempt int) error {
		if attempt == 1 {
			under <- to
			<-goOn
		}
		if to == "later@example.net" && attempt == 1 {
			return fault.New(fault.NextHop, "busy", nil)
		}
		return nil
	})
	q := open(t, Config{Deliverer: h, Tend: 10 * time.Millisecond, MinFree: -1})
	start(t, q)
	for _, to := range []string{"now@example.net", "later@example.net"} {
		if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", to))); err != nil {
			t.Fatal(err)
		}
	}
	<-under
	mend := breakDisk(t)
	defer mend()
	close(goOn)
	until(t, "the queue to say so", func() bool { return q.Ready(t.Context()) != nil })
	if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", "refused@example.net"))); relay.ReplyFor(err).Code/100 != 4 {
		t.Errorf("accepted without a disk, or refused for good: %v", err)
	}
	mend()
	drained(t, q)
	until(t, "the queue to be ready", func() bool { return q.Ready(t.Context()) == nil })
	if h.attempts["now@example.net"] != 1 || h.attempts["later@example.net"] != 2 || len(h.attempts) != 2 {
		t.Errorf("attempts %v", h.attempts)
	}
}
