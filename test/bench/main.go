// Command bench prints how long S/MIME takes, from MIME message to MIME
// message: by this engine, by libcrypto in a process of its own, and by the bare
// Go primitives ("floor": the hash, the public-key operations, the cipher, base64, and
// the copy of what is signed, on the same bytes). All figures are from one run, each the
// best of many rounds, in microseconds.
//
// Usage: bench LIBCRYPTO, the program built from libcrypto/cms.c.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	budget := flag.Duration("budget", 300*time.Millisecond, "time for each figure")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: bench [-budget DURATION] LIBCRYPTO")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *budget); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(libcrypto string, budget time.Duration) error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Println("    key    operation      size  to   floor µs  engine µs  libcrypto µs  engine/floor  libcrypto/engine")
	for _, key := range []string{"rsa2048", "p256"} {
		world, err := newWorld(dir, key)
		if err != nil {
			return err
		}
		for _, c := range cases() {
			job, err := world.prepare(c)
			if err != nil {
				return fmt.Errorf("%s %s %d: %w", key, c.operation, c.size, err)
			}
			floor, engine := best(budget, job.floor), best(budget, job.engine)
			other, err := job.libcrypto(libcrypto, budget)
			if err != nil {
				return err
			}
			fmt.Printf("%7s %12s %9d %3d %10.0f %10.0f %13.0f %13.2f %17.2f\n", key, c.operation, c.size, c.recipients,
				micros(floor), micros(engine), micros(other),
				float64(engine)/float64(floor), float64(other)/float64(engine))
		}
	}
	fmt.Println("\nGo's RSA-2048 private operation takes about 2.5 times as long as libcrypto's; no code here can" +
		" change that. P-256 is faster in Go: prefer it.")
	return nil
}

// micros returns d in microseconds.
func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// leastRounds is how often a job is measured, however long it takes: the best of few rounds
// is that of the other work on the machine.
const leastRounds = 5

// best runs f until the budget is spent and returns its shortest time. The first round is
// not measured: in that, memory comes from the system page by page.
func best(budget time.Duration, f func()) time.Duration {
	f()
	shortest := time.Duration(1<<63 - 1)
	end := time.Now().Add(budget)
	for round := 0; round < leastRounds || time.Now().Before(end); round++ {
		start := time.Now()
		f()
		shortest = min(shortest, time.Since(start))
	}
	return shortest
}
