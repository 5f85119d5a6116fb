package listeners

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

var growth = flag.Bool("growth", false, "measure how cost grows, and print the curves")

const megabyte = 1_000_000

// TestGrowth prints how the cost of a message grows with its size, its recipients, the
// sessions, the certificates in the store and the messages that wait. With no flag it takes
// the first points of the curves.
func TestGrowth(t *testing.T) {
	sizes, recipients, sessions, stored, waiting := []int{1}, []int{1, 10}, []int{1}, []int{10}, []int{10}
	if *growth {
		sizes, recipients, sessions = []int{1, 10, 50, 100}, []int{1, 10, 100, 1000}, []int{1, 10, 50, 200}
		stored, waiting = []int{10, 1000, 100_000}, []int{0, 1000, 10_000, 100_000}
	}
	b := newBench(t)
	b.growSizes(sizes)
	b.growRecipients(recipients)
	b.growSessions(sessions)
	b.growStore(stored)
	b.growQueue(waiting)
}

// growSizes sends messages of so many megabytes, one at a time.
func (b *bench) growSizes(sizes []int) {
	b.curve("\nmilter, by size       ms/MB  peak memory / size\n")
	for _, job := range []string{"pass", "sign-rsa", "encrypt", "sign-encrypt"} {
		for _, size := range sizes {
			m := b.world.mail(b.T, job, size*megabyte)
			b.restart()
			f := b.measure("milter-out", b.smtp("milter-out"), m, 1, 3, false)
			b.curve("%-12s %5d MB %8.1f %8.1f\n", job, size, f.processor/1000/float64(size), float64(b.filters["milter-out"].peak(b))/megabyte/float64(size))
		}
	}
}

// growRecipients sends a message to recipients that its header does not name, each of whom
// gets an encrypted copy of their own, to the delivery of the last one.
func (b *bench) growRecipients(recipients []int) {
	b.curve("\nfilter, encrypted copies for hidden recipients    ms  ms/copy\n")
	for _, n := range recipients {
		m := b.world.mail(b.T, "encrypt", 5_000)
		m.to, m.recipients = "x@many.example", n
		want := b.counter.count.Load() + int64(n)
		start := time.Now()
		b.source(m, b.smtp("filter"), 1, 1)
		b.await(want)
		took := time.Since(start).Seconds() * 1000
		b.curve("%6d %49.0f %8.2f\n", n, took, took/float64(n))
	}
}

func (b *bench) growSessions(sessions []int) {
	b.curve("\nmilter, pass 5 kB, by sessions   µs  messages/s  peak MB\n")
	for _, n := range sessions {
		m := b.world.mail(b.T, "pass", 5_000)
		b.restart()
		f := b.measure("milter-out", b.smtp("milter-out"), m, n, max(10*n, 10), false)
		b.curve("%6d %28.0f %11.0f %8.1f\n", n, f.processor, f.rate, float64(b.filters["milter-out"].peak(b))/megabyte)
	}
}

// growStore imports certificates and looks one of them up for each message; then it
// starts the gateway again.
func (b *bench) growStore(counts []int) {
	b.curve("\ncertificates in the store   µs a message  start ms  resident MB after it\n")
	imported := 0
	for _, n := range counts {
		b.world.importCertificates(b, b.gateway.Run, imported, n)
		imported = n
		took := b.restart()
		resident := b.filters["milter-out"].memory(b, "VmRSS")
		m := b.world.mail(b.T, "encrypt", 5_000)
		m.to = fmt.Sprintf("p%d@store.example", n-1)
		f := b.measure("milter-out", b.smtp("milter-out"), m, 10, 200, false)
		b.curve("%8d %29.0f %9d %20.1f\n", n, f.processor, took.Milliseconds(), float64(resident)/megabyte)
	}
}

// growQueue lets messages wait, since the next hop defers them, and measures others that
// pass by them.
func (b *bench) growQueue(counts []int) {
	b.curve("\nmessages waiting   messages/s accepted to delivered  first delivery after start, s\n")
	waiting := 0
	for _, n := range counts {
		if n > waiting {
			b.fill(n - waiting)
		}
		waiting = n
		f := b.measure("relay", b.places.relay, b.world.mail(b.T, "pass", 5_000), 10, 500, true)
		b.curve("%8d %42.0f %30.2f\n", n, f.rate, b.firstDelivery().Seconds())
	}
}

// restart ends the gateway and starts it again, so that its memory is that of the next
// messages alone. It returns how long the start took.
func (b *bench) restart() time.Duration {
	b.Helper()
	b.stop()
	return b.started()
}

// stop ends the gateway.
func (b *bench) stop() {
	b.Helper()
	b.gateway.Signal(b, syscall.SIGTERM)
	b.gateway.Await()
}

// started starts the gateway again, and returns how long that took.
func (b *bench) started() time.Duration {
	b.Helper()
	start := time.Now()
	b.gateway.Start(b)
	took := time.Since(start)
	p := process{b.gateway.PID()}
	b.filters["milter-out"], b.filters["milter-in"], b.filters["filter"], b.filters["relay"] = p, p, p, p
	return took
}

func (b *bench) curve(format string, args ...any) {
	if *growth {
		fmt.Fprintf(os.Stdout, format, args...)
	}
}

// importCertificates imports certificates of p<from>@store.example and on, up to to, in
// files that are not too large to be read.
func (w *world) importCertificates(b *bench, run func(testing.TB, ...string) string, from, to int) {
	b.Helper()
	const perFile = 10_000
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	for ; from < to; from += perFile {
		var file bytes.Buffer
		for i := from; i < min(from+perFile, to); i++ {
			id := testpki.Must(w.storeCA.Issue(testpki.Leaf{Addresses: []string{fmt.Sprintf("p%d@store.example", i)}, PrivateKey: key}))
			file.Write(testpki.EncodeCertificates(id.Certificate))
		}
		w.write(b, "import.pem", file.Bytes())
		run(b, "cert", "import", w.path("import.pem"))
	}
}

// peak returns the largest resident size, in octets (proc(5)).
func (p process) peak(tb testing.TB) int { return p.memory(tb, "VmHWM") }

func (p process) memory(tb testing.TB, field string) int {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil {
		tb.Fatal(err)
	}
	m := regexp.MustCompile(field + `:\s+(\d+) kB`).FindSubmatch(text)
	if m == nil {
		tb.Fatalf("no %s in %s", field, text)
	}
	kilobytes, err := strconv.Atoi(string(m[1]))
	if err != nil {
		tb.Fatal(err)
	}
	return kilobytes * 1024
}
