package crash

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/smimerelay/smimerelay/internal/testing/loopback"
	"github.com/smimerelay/smimerelay/internal/testing/pgtest"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/queue"
	"github.com/smimerelay/smimerelay/test/rig"
)

var (
	program string
	// server is one for all tests; TestMain stops it.
	server = sync.OnceValues(pgtest.Start)
)

func TestMain(m *testing.M) {
	code := rig.Main(m, &program)
	if s, err := server(); err == nil {
		if err := s.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// rounds is how often the gateway is killed: a few times, or as `make test-crash` says.
func rounds(t *testing.T) int {
	t.Helper()
	text := os.Getenv("CRASH_ROUNDS")
	if text == "" {
		return 2
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("CRASH_ROUNDS: %q: write a number of rounds, such as 200", text)
	}
	return n
}

// Whatever the gateway answered 250 to before it was killed arrives, by whichever way it
// came: through the relay, as several copies of a message from a milter, held and released.
// What it refused does not arrive. One delivery at a time is under way here, so that one
// message at most comes twice after one kill.
func TestGatewayCrash(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { testCrash(t, queue.Place{Path: filepath.Join(t.TempDir(), "queue.db")}) })
	t.Run("postgresql", func(t *testing.T) {
		s, err := server()
		if err != nil {
			t.Fatal(err)
		}
		testCrash(t, queue.Place{URL: s.Database(t)})
	})
}

func testCrash(t *testing.T, place queue.Place) {
	w := newWorld(t, place)
	n := rounds(t)
	for round := range n {
		w.round(t, 5+11*(round%9))
	}
	w.gateway.Start(t)
	w.releaseAll(t)
	w.arrived(t)
	twice, unknown := w.counts(t)
	if twice > n {
		t.Errorf("%d messages came twice after %d kills", twice, n)
	}
	if len(w.accepted) < 10*n {
		t.Errorf("only %d recipients were accepted", len(w.accepted))
	}
	t.Logf("%d kills, %d recipients accepted, %d came twice, %d came whose client got no answer", n, len(w.accepted), twice, unknown)
}

// world is a gateway between a Postfix, clients, and a sink.
type world struct {
	gateway        *rig.Gateway
	sink           *rig.Sink
	place          queue.Place
	relay, postfix string // where clients send

	next     atomic.Int64
	mu       sync.Mutex
	accepted map[string]bool // recipients
}

func newWorld(t *testing.T, place queue.Place) *world {
	t.Helper()
	dir, ports := t.TempDir(), []int{loopback.FreePort(t), loopback.FreePort(t), loopback.FreePort(t)}
	local := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	w := &world{sink: rig.StartSink(t), place: place, relay: local(0), postfix: local(2), accepted: map[string]bool{}}
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	identity := testpki.Must(testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"alice@corp.example"}})).PEM())
	for name, content := range map[string][]byte{"ca.pem": testpki.EncodeCertificates(ca.Root), "alice.pem": identity} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	store, path := place.URL, filepath.Join(dir, "queue.db")
	if store == "" {
		store, path = filepath.Join(dir, "store.db"), place.Path
	}
	replace := strings.NewReplacer("DIR", dir, "STORE", store, "QUEUE", path, "SINK", w.sink.Addr(), "RELAY", local(0), "MILTER", local(1))
	w.gateway = rig.StartGateway(t, program, replace.Replace(configuration), ports[0], ports[1])
	rig.StartPostfix(t, rig.PostfixConfig{
		Ports:  ports[2:],
		Master: fmt.Sprintf("%d inet n - n - - smtpd\n  -o smtpd_milters=inet:%s\ndiscard unix - - n - - discard\n", ports[2], local(1)),
		Main:   "default_transport = discard:\nmilter_default_action = tempfail\nsmtpd_client_connection_rate_limit = 0\n",
	})
	w.gateway.Kill(t)
	return w
}

// configuration has one worker: one delivery is under way when the gateway is killed.
const configuration = `hostname = "gw.test"
domains = ["corp.example"]
postmaster = "postmaster@corp.example"
[queue]
path = "QUEUE"
workers = 1
retry = ["1s"]
[store]
url = "STORE"
key_file = "DIR/store.key"
[identities]
path = "DIR/alice.pem"
[trust]
anchors = ["DIR/ca.pem"]
revocation = "off"
[next_hop]
address = "SINK"
tls = "off"
[[listener]]
name = "relay"
protocol = "smtp"
address = "RELAY"
direction = "outbound"
networks = ["127.0.0.0/8"]
[[listener]]
name = "milter"
protocol = "milter"
address = "MILTER"
direction = "outbound"
[[rule]]
name = "hold"
recipient = ["hold.example"]
sign = "never"
encrypt = "require"
no_certificate = "hold"
[[rule]]
name = "refuse"
recipient = ["refuse.example"]
sign = "never"
encrypt = "require"
no_certificate = "reject"
[[rule]]
name = "sign"
recipient = ["sign.example"]
sign = "require"
encrypt = "never"
[[rule]]
name = "default"
sign = "never"
encrypt = "never"
`

// round starts the gateway, has clients send until it has accepted so many messages, while
// an administrator releases what is held, and kills it then.
func (w *world) round(t *testing.T, most int) {
	t.Helper()
	w.gateway.Start(t)
	enough, ended := make(chan struct{}), make(chan struct{})
	var taken atomic.Int64
	var clients sync.WaitGroup
	client := func(server string, recipients ...string) {
		clients.Go(func() {
			for {
				select {
				case <-ended:
					return
				default:
				}
				if w.send(server, recipients) && taken.Add(1) == int64(most) {
					close(enough)
				}
			}
		})
	}
	client(w.relay, "pass.example")
	client(w.relay, "hold.example")
	client(w.relay, "refuse.example")
	client(w.postfix, "pass.example", "sign.example") // two copies
	for open := true; open; {
		w.release(t)
		select {
		case <-enough:
			open = false
		default:
		}
	}
	w.gateway.Kill(t)
	close(ended)
	clients.Wait()
}

// send sends a message to a recipient of each domain, and notes them if it is accepted.
func (w *world) send(server string, domains []string) bool {
	c, err := gosmtp.Dial(server)
	if err != nil {
		return false
	}
	defer c.Close()
	c.CommandTimeout, c.SubmissionTimeout = rig.Patience, rig.Patience
	var to []string
	n := w.next.Add(1)
	for _, d := range domains {
		to = append(to, fmt.Sprintf("m%d@%s", n, d))
	}
	text := fmt.Sprintf("From: alice@corp.example\r\nTo: %s\r\nSubject: %d\r\n\r\nhello\r\n", strings.Join(to, ", "), n)
	if err := c.SendMail("alice@corp.example", to, strings.NewReader(text)); err != nil {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range to {
		w.accepted[r] = true
	}
	return true
}

// release releases what is held, without encryption, and returns how much that was.
func (w *world) release(t *testing.T) int {
	t.Helper()
	s, err := queue.OpenStore(t.Context(), w.place)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	held, err := s.Held(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range held {
		// It may have been released before, and be gone by now.
		_ = s.Give(t.Context(), e.ID, relay.Order{Verb: relay.ReleasePlain, Reason: "crash", By: "the test"})
	}
	return len(held)
}

// releaseAll waits until nothing is held.
func (w *world) releaseAll(t *testing.T) {
	t.Helper()
	w.until(t, "all that is held to be released", func() bool { return w.release(t) == 0 })
}

// arrived waits for all that was accepted.
func (w *world) arrived(t *testing.T) {
	t.Helper()
	w.until(t, "all that was accepted to arrive", func() bool {
		got := w.got()
		for to := range w.accepted {
			if got[to] == 0 {
				return false
			}
		}
		return true
	})
}

// longest is how long it may take until the next message arrives: a lease has to end.
const longest = 2 * time.Minute

// until waits until something is so. While messages arrive it goes on: many may have been
// left by the kills.
func (w *world) until(t *testing.T, what string, so func() bool) {
	t.Helper()
	late := time.NewTimer(longest)
	defer late.Stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	before := len(w.sink.All())
	for !so() {
		select {
		case <-tick.C:
			if n := len(w.sink.All()); n > before {
				before = n
				late.Reset(longest)
			}
		case <-late.C:
			got := w.got()
			var missing []string
			for to := range w.accepted {
				if got[to] == 0 {
					missing = append(missing, to)
				}
			}
			slices.Sort(missing)
			t.Fatalf("waiting for %s; accepted and not delivered: %v", what, missing)
		}
	}
}

// got is how often each recipient got a message.
func (w *world) got() map[string]int {
	got := map[string]int{}
	for _, d := range w.sink.All() {
		for _, to := range d.To {
			got[to]++
		}
	}
	return got
}

// counts are how many recipients got a message twice, and how many got one whose client
// had no answer, when the queue is empty.
func (w *world) counts(t *testing.T) (twice, unknown int) {
	t.Helper()
	s, err := queue.OpenStore(t.Context(), w.place)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w.until(t, "the queue to be empty", func() bool {
		n, err := s.Len(t.Context())
		return err == nil && n == 0
	})
	for to, n := range w.got() {
		if strings.HasSuffix(to, "@corp.example") {
			continue // a notice
		}
		if strings.HasSuffix(to, "@refuse.example") {
			t.Errorf("%s was refused, and delivered", to)
		}
		twice += n - 1
		if !w.accepted[to] {
			unknown++
		}
	}
	return twice, unknown
}
