package killtest

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// Place is where the steps are.
type Place string

const (
	// InGateway: the gateway dies between its own steps.
	InGateway Place = "gateway"
	// AtCA: it dies when a request is at the CA.
	AtCA Place = "CA"
)

// Death is one of a gateway.
type Death struct {
	// Dir is a folder for it alone.
	Dir string
	// Name says which one it is.
	Name string
	// Died: the gateway came to the step.
	Died bool

	place Place
	at    int

	mu      sync.Mutex
	left    int
	process *os.Process
	over    chan struct{} // closed when the process has ended
}

// beside is how many steps are looked for before their results: as many of them run side by side
// as -parallel says.
const beside = 8

// Each calls one for each step at a place, until the gateway no longer comes to the step. There
// must be least steps.
func Each(t *testing.T, place Place, least int, one func(t *testing.T, d *Death)) {
	t.Helper()
	for first := 1; ; first += beside {
		deaths := make([]*Death, beside)
		t.Run(fmt.Sprintf("from %d", first), func(t *testing.T) {
			for i := range deaths {
				at := first + i
				deaths[i] = &Death{Name: fmt.Sprintf("step %d at the %s", at, place), place: place, at: at}
				t.Run(strconv.Itoa(at), func(t *testing.T) {
					t.Parallel()
					deaths[i].Dir = t.TempDir()
					one(t, deaths[i])
				})
			}
		})
		if t.Failed() {
			return
		}
		died := slices.IndexFunc(deaths, func(d *Death) bool { return !d.Died })
		if died < 0 {
			continue
		}
		if steps := first + died - 1; steps < least {
			t.Errorf("only %d steps at the %s", steps, place)
		}
		return
	}
}

// URL is that of the gateway's store.
func (d *Death) URL() string { return filepath.Join(d.Dir, "store.db") }

// Store opens the store of the gateway, which must not run.
func (d *Death) Store(t *testing.T) *store.Store {
	t.Helper()
	s := testpki.Must(openStore(d.URL(), afterwards))
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// Step is one of the CA: the gateway is killed if it is the one.
func (d *Death) Step() { d.step() }

// step returns what is closed when the gateway has ended, if it killed it; else nil.
func (d *Death) step() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left--; d.left != 0 {
		return nil
	}
	_ = d.process.Kill()
	return d.over
}

// Handler makes two steps of each request to a CA: when it has arrived, and when it was carried
// out. No gateway gets the answer that was killed.
func (d *Death) Handler(ca http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hangUp(d.step())
		answer := httptest.NewRecorder()
		ca.ServeHTTP(answer, r)
		hangUp(d.step())
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	})
}

// hangUp waits for the end of a gateway that was killed, so that it does not see how the
// connection ends.
func hangUp(over <-chan struct{}) {
	if over == nil {
		return
	}
	<-over
	panic(http.ErrAbortHandler)
}

// Kill runs a gateway, which dies if it comes to the step.
func (d *Death) Kill(t *testing.T, settings string) {
	t.Helper()
	at := 0
	if d.place == AtCA {
		d.left = d.at
	} else {
		at = d.at
	}
	d.Died = d.run(t, settings, at, 0)
}

// Resume runs another gateway, later, which must end well.
func (d *Death) Resume(t *testing.T, settings string) {
	t.Helper()
	d.mu.Lock()
	d.left = 0
	d.mu.Unlock()
	if d.run(t, settings, 0, later) {
		t.Fatalf("%s: the second process was killed too", d.Name)
	}
}

// run reports whether the process was killed.
func (d *Death) run(t *testing.T, settings string, at, ahead int) bool {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	// The race detector has each process that ends well sleep for a second.
	race := strings.TrimSpace(os.Getenv("GORACE") + " atexit_sleep_ms=0")
	cmd.Env = append(os.Environ(), "GORACE="+race, envStore+"="+d.URL(), envSettings+"="+settings, fmt.Sprintf("%s=%d", envAt, at), fmt.Sprintf("%s=%d", envAhead, ahead))
	cmd.Stdout, cmd.Stderr = &out, &out
	d.mu.Lock()
	err := cmd.Start()
	d.process, d.over = cmd.Process, make(chan struct{})
	d.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	close(d.over)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signal() == syscall.SIGKILL {
			return true
		}
	}
	if err != nil {
		t.Fatalf("%s: %v: %s", d.Name, err, &out)
	}
	return false
}

// Result is what a test expects when the second gateway has ended.
type Result struct {
	// Orders is how many there are, each with a certificate in use.
	Orders int
	// Origin is that of the certificates in the store.
	Origin store.Origin
	// OtherKeys: the CA makes the keys, so that those of the orders are not used.
	OtherKeys bool
}

// afterwards is the clock when all gateways have ended: what they got is valid.
func afterwards() time.Time { return time.Now().Add(2 * later * time.Minute) }

// Orders are those of the store, with their keys.
func (d *Death) Orders(t *testing.T) []store.Order {
	t.Helper()
	s := testpki.Must(openStore(d.URL(), afterwards))
	defer s.Close()
	return testpki.Must(s.Orders(t.Context(), store.OrderQuery{Keys: true}))
}

// Check looks at what became of the orders that the first gateway left: each is done, and has one
// certificate, of the key that was there; and the address signs.
func (d *Death) Check(t *testing.T, left []store.Order, want Result) {
	t.Helper()
	s := testpki.Must(openStore(d.URL(), afterwards))
	defer s.Close()
	person := Person()
	orders := testpki.Must(s.Orders(t.Context(), store.OrderQuery{}))
	found := testpki.Must(s.Find(t.Context(), store.Query{Address: &person, Origins: []store.Origin{want.Origin}}))
	if len(orders) != want.Orders || len(found) != want.Orders {
		t.Errorf("%s: %d orders, %d certificates in the store", d.Name, len(orders), len(found))
	}
	for _, o := range orders {
		if o.State != store.OrderDone {
			t.Errorf("%s: order %s is %s: %s", d.Name, o.ID, o.State, o.Problem)
		}
	}
	signing, err := s.Keys().Signing(t.Context(), person)
	if err != nil || signing == nil || signing.Check() != nil {
		t.Errorf("%s: nothing signs: %v", d.Name, err)
	}
	var ids []*certs.Identity
	for _, entry := range found {
		ids = append(ids, testpki.Must(s.Identity(t.Context(), entry.Fingerprint)))
	}
	for _, o := range left {
		// Without a key it was done.
		if o.Key != nil && !want.OtherKeys && !holds(ids, o) {
			t.Errorf("%s: the key of order %s is gone", d.Name, o.ID)
		}
	}
}

// holds reports whether the key of an order is one of the identities'.
func holds(ids []*certs.Identity, o store.Order) bool {
	for _, id := range ids {
		if (&certs.Identity{Certificate: id.Certificate, Key: o.Key}).Check() == nil {
			return true
		}
	}
	return false
}
