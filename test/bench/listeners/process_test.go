package listeners

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// asFilter is the variable by which the test binary runs itself as one of the filters to
// compare with: KIND JOB ADDRESS IDENTITY-OR-NEXT-HOP.
const asFilter = "SMIMERELAY_BENCH_FILTER"

func TestMain(m *testing.M) {
	if filter := strings.Fields(os.Getenv(asFilter)); len(filter) == 4 {
		fmt.Fprintln(os.Stderr, runFilter(filter[0], filter[1], filter[2], filter[3]))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func runFilter(kind, job, address, other string) error {
	ln, err := listen(address)
	if err != nil {
		return err
	}
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		if err := os.Chmod(path, 0o666); err != nil { // Postfix has a user of its own
			return err
		}
	}
	switch kind {
	case "library":
		return serveLibrary(ln)
	case "relay":
		return serveSMTP(ln, func() (func(*transaction) error, io.Closer) {
			b := &bareRelay{next: other}
			return b.deliver, b
		})
	}
	return serveBareMilter(ln, job, other)
}

// process is a filter that runs.
type process struct{ pid int }

// startFilter runs this program as a filter that ends with the test.
func startFilter(tb testing.TB, kind, job, address, other string) process {
	tb.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asFilter+"="+strings.Join([]string{kind, job, address, other}, " "))
	return start(tb, cmd, address)
}

// start runs a program and waits until it listens.
func start(tb testing.TB, cmd *exec.Cmd, address string) process {
	tb.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_ = cmd.Wait() // it is ended by a signal
	}()
	tb.Cleanup(func() {
		_ = cmd.Process.Kill() // it may be gone
		<-gone
	})
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if conn, err := dial(address); err == nil {
			conn.Close()
			return process{cmd.Process.Pid}
		}
		select {
		case <-tick.C:
		case <-gone:
			tb.Fatalf("%s: %s", cmd, out.String())
		}
	}
}

// processorClock is the low bits of the number of a process's clock, behind the inverted
// process id: that of all its threads, as the scheduler counts them in nanoseconds
// (clock_getcpuclockid(3); CPUCLOCK_SCHED in the kernel).
const processorClock = 2

// processorTime returns what a process has used, user and system, with the threads that
// have ended. /proc has it in ticks of 10 ms only, which is 20 µs of each of 500 messages.
func (p process) processorTime(tb testing.TB) time.Duration {
	tb.Helper()
	var used unix.Timespec
	clock := ^p.pid<<3 | processorClock
	if err := unix.ClockGettime(int32(clock), &used); err != nil {
		tb.Fatalf("processor time of process %d: %v", p.pid, err)
	}
	return time.Duration(used.Nano())
}

// The clock is that of the process: what it says of this one lies between two looks at
// the clock by which a process measures itself.
func TestProcessorTime(t *testing.T) {
	own := func() time.Duration {
		var used unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &used); err != nil {
			t.Fatal(err)
		}
		return time.Duration(used.Nano())
	}
	before := own()
	got := process{os.Getpid()}.processorTime(t)
	if after := own(); got < before || got > after {
		t.Errorf("%v of processor time, want %v to %v", got, before, after)
	}
}
