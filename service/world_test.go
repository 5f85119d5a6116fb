package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/smtp"
	"net/textproto"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"
	"go.uber.org/goleak"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/testing/configtest"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// patience is how long a test waits for what must happen; it is long because a
// busy machine is no failure.
const patience = 30 * time.Second

// storeTimeout is how long the service of a test waits for its certificate store.
const storeTimeout = 2 * time.Second

// world is a service that runs in this process, with a next hop behind it.
type world struct {
	t       *testing.T
	dir     string
	hop     *hop
	signals chan os.Signal
	log     *logBuffer
	ended   chan error
	running bool
	ca      *testpki.CA  // the one that is trusted
	ahead   atomic.Int64 // of the machine's clock, the service's: nanoseconds
}

// startWorld runs a service on a configuration, in which %DIR% is a folder of its own
// and %HOP% the next hop, until the test ends.
func startWorld(t *testing.T, text string) *world {
	t.Helper()
	// Registered first, so that it looks last. The servers of a test that run
	// already end after the world, also if they were restarted meanwhile.
	before := goleak.IgnoreCurrent()
	slapd := goleak.IgnoreAnyFunction("github.com/smimerelay/smimerelay/internal/slapdtest.(*Server).Restart.func1")
	t.Cleanup(func() { goleak.VerifyNone(t, before, slapd) })
	w := &world{
		t: t, dir: t.TempDir(), hop: newHop(t), signals: make(chan os.Signal, 8),
		log: newLogBuffer(), ended: make(chan error, 1),
	}
	w.ca = testpki.Must(testpki.NewCA(testpki.Options{}))
	if err := os.WriteFile(filepath.Join(w.dir, "ca.pem"), testpki.EncodeCertificates(w.ca.Certificate), 0o644); err != nil {
		t.Fatal(err)
	}
	w.write(text)
	w.run()
	t.Cleanup(func() {
		if w.running {
			w.stop()
		}
		if t.Failed() {
			t.Log(w.log)
		}
	})
	w.log.wait(t, "msg=serving")
	return w
}

// loadElsewhere is Load of a file that names no store: it gets one of the test's own.
func loadElsewhere(t *testing.T, path string) (*Parts, config.Problems) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c, problems := config.Parse(path, data)
	if len(problems) == 0 {
		c, problems = config.Parse(path, []byte(configtest.Elsewhere(string(data), t.TempDir())))
	}
	if c == nil {
		return nil, problems
	}
	return build(c, problems, setting{clock: time.Now, log: slog.New(slog.DiscardHandler)})
}

// run starts the service on what is in the folder.
func (w *world) run() {
	w.running = true
	go func() {
		w.ended <- Run(context.Background(), Options{
			Path: w.config(), Stderr: w.log, Clock: w.now, Version: "test", Signals: w.signals,
			Polls:        Polls{Store: 20 * time.Millisecond, Authority: 20 * time.Millisecond, Expiry: 20 * time.Millisecond, Enrolment: 20 * time.Millisecond, Publish: 20 * time.Millisecond},
			StoreTimeout: storeTimeout,
		})
	}()
}

// now is the clock of the service, and advance sets it forward: what rests for a
// while need not be waited for.
func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }

func (w *world) advance(d time.Duration) { w.ahead.Add(int64(d)) }

func (w *world) config() string { return filepath.Join(w.dir, "config.toml") }

// write replaces the configuration.
func (w *world) write(text string) {
	w.t.Helper()
	text = configtest.Elsewhere(strings.NewReplacer("%DIR%", w.dir, "%HOP%", w.hop.address).Replace(text), w.dir)
	if err := os.WriteFile(w.config(), []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// reload replaces the configuration, asks for it to be read, and waits for the
// line that says what came of it.
func (w *world) reload(text, want string) {
	w.t.Helper()
	n := w.log.count(want)
	w.write(text)
	w.signals <- syscall.SIGHUP
	w.log.waitCount(w.t, want, n+1)
}

// stop ends the service and wants it to end well.
func (w *world) stop() {
	w.t.Helper()
	w.signals <- syscall.SIGTERM
	w.wantEnd()
}

func (w *world) wantEnd() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience) // also after the test
	defer cancel()
	select {
	case err := <-w.ended:
		w.running = false
		if err != nil {
			w.t.Errorf("the service ended with %v\n%s", err, w.log)
		}
	case <-ctx.Done():
		w.t.Fatalf("the service does not end\n%s", w.log)
	}
}

// address returns where a listener is, from the log.
func (w *world) address(listener string) string {
	w.t.Helper()
	line := w.log.last("msg=listening listener=" + listener + " ")
	_, rest, _ := strings.Cut(line, "listen=")
	address, _, _ := strings.Cut(rest, " ")
	if address == "" {
		w.t.Fatalf("no listener %q in the log\n%s", listener, w.log)
	}
	return address
}

// send sends a message from outside and returns what the server said to it.
func send(address, subject string) error {
	c, err := smtp.Dial(address)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := errors.Join(c.Hello("client.example"), c.Mail("bob@example.net"), c.Rcpt("alice@example.org")); err != nil {
		return err
	}
	d, err := c.Data()
	if err != nil {
		return err
	}
	fmt.Fprintf(d, "From: bob@example.net\r\nTo: alice@example.org\r\nSubject: %s\r\n\r\nHello.\r\n", subject)
	// The reply to the message counts: what the server says to QUIT does not.
	return d.Close()
}

// replyCode returns the code of the reply that err is, 0 for other errors.
func replyCode(err error) int {
	if e, ok := errors.AsType[*textproto.Error](err); ok {
		return e.Code
	}
	return 0
}

// hop is the next hop: it counts what it gets by subject.
type hop struct {
	address string
	mu      sync.Mutex
	got     map[string]int
	texts   map[string][]byte // the last message of a subject
	changed chan struct{}
	refuses string // a recipient that it does not know
	refused int    // how often it said so
}

func newHop(t *testing.T) *hop {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &hop{address: l.Addr().String(), got: map[string]int{}, texts: map[string][]byte{}, changed: make(chan struct{}, 1)}
	s := gosmtp.NewServer(gosmtp.BackendFunc(func(*gosmtp.Conn) (gosmtp.Session, error) { return hopSession{h}, nil }))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l) // it ends when it is closed
	}()
	t.Cleanup(func() {
		s.Close()
		l.Close() // the server may not have come to serve yet
		<-done
	})
	return h
}

// wait waits until n different messages arrived.
func (h *hop) wait(t *testing.T, n int) map[string]int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		h.mu.Lock()
		got := len(h.got)
		h.mu.Unlock()
		if got >= n {
			return h.got
		}
		select {
		case <-h.changed:
		case <-ctx.Done():
			t.Fatalf("%d messages arrived instead of %d", got, n)
		}
	}
}

// count is how many different messages arrived.
func (h *hop) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.got)
}

// raw is the last message of a subject.
func (h *hop) raw(subject string) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.texts[subject]
}

type hopSession struct{ hop *hop }

func (hopSession) Mail(string, *gosmtp.MailOptions) error { return nil }

func (s hopSession) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	s.hop.mu.Lock()
	defer s.hop.mu.Unlock()
	if to != s.hop.refuses || to == "" {
		return nil
	}
	s.hop.refused++
	return &gosmtp.SMTPError{Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
}

func (hopSession) Reset()        {}
func (hopSession) Logout() error { return nil }

func (s hopSession) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(string(raw), "Subject: ")
	subject, _, _ := strings.Cut(rest, "\r\n")
	s.hop.mu.Lock()
	s.hop.got[subject]++
	s.hop.texts[subject] = raw
	s.hop.mu.Unlock()
	select {
	case s.hop.changed <- struct{}{}:
	default:
	}
	return nil
}

// logBuffer keeps the log and wakes those who wait for a line.
type logBuffer struct {
	mu   sync.Mutex
	cond *sync.Cond
	text bytes.Buffer
}

func newLogBuffer() *logBuffer {
	b := &logBuffer{}
	b.cond = sync.NewCond(&b.mu)
	return b
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cond.Broadcast()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (b *logBuffer) count(words string) int { return strings.Count(b.String(), words) }

// last returns the last line with the words in it.
func (b *logBuffer) last(words string) string {
	found := ""
	for line := range strings.Lines(b.String()) {
		if strings.Contains(line, words) {
			found = strings.TrimSpace(line)
		}
	}
	return found
}

func (b *logBuffer) wait(t *testing.T, words string) { t.Helper(); b.waitCount(t, words, 1) }

// waitCount waits until words were logged n times.
func (b *logBuffer) waitCount(t *testing.T, words string, n int) {
	t.Helper()
	b.waitFor(t, func(log string) bool { return strings.Count(log, words) >= n }, fmt.Sprintf("%q is not logged %d times", words, n))
}

// waitSum waits until the numbers after words are n or more together.
func (b *logBuffer) waitSum(t *testing.T, words string, n int) {
	t.Helper()
	b.waitNumbers(t, words, func(found []int) bool {
		sum := 0
		for _, number := range found {
			sum += number
		}
		return sum >= n
	})
}

// waitNumbers waits until the numbers after words are as they should be.
func (b *logBuffer) waitNumbers(t *testing.T, words string, good func(found []int) bool) {
	t.Helper()
	b.waitFor(t, func(log string) bool {
		var found []int
		for _, rest := range strings.Split(log, words)[1:] {
			// Of a line that is not whole yet there is no end.
			if i := strings.IndexAny(rest, " \n"); i > 0 {
				number, _ := strconv.Atoi(rest[:i])
				found = append(found, number)
			}
		}
		return good(found)
	}, fmt.Sprintf("the numbers after %q are not as they should be", words))
}

// waitFor waits until the log is as it should be; wrong says how it is if that takes too long.
func (b *logBuffer) waitFor(t *testing.T, good func(log string) bool, wrong string) {
	t.Helper()
	late := false
	timer := time.AfterFunc(patience, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		late = true
		b.cond.Broadcast()
	})
	defer timer.Stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	for !good(b.text.String()) {
		if late {
			t.Fatalf("%s:\n%s", wrong, b.text.String())
		}
		b.cond.Wait()
	}
}
