// Package killtest kills gateways that order certificates: at each step of an order a process
// dies, and another one goes on.
//
// A test package calls Main in TestMain, with what a gateway is. Each then starts the gateway as
// a process of its own, which kills itself before and after each change of its store and each call of its
// provider, or which the test kills before and after each request to the CA.
package killtest

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/enrol"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
)

// Table is the name of the enrolment, Address is who gets a certificate.
const (
	Table   = "test"
	Address = "alice@example.com"
)

// The variables that make a process of a test a gateway: its store, the settings that the test
// has for it, the step at which it dies, and by how many minutes its clock is ahead.
const (
	envStore    = "KILLTEST_STORE"
	envSettings = "KILLTEST_SETTINGS"
	envAt       = "KILLTEST_AT"
	envAhead    = "KILLTEST_AHEAD"
)

const (
	// rounds are how often a gateway looks at its orders, and pause is what its clock goes on
	// between them.
	rounds = 6
	pause  = 10 * time.Minute
	// later is by how many minutes the second process is ahead: no attempt of the first one is
	// under way any more.
	later = 60
)

var sealing = []byte("0123456789abcdef0123456789abcdef")

// Log is where nothing is read.
var Log = slog.New(slog.DiscardHandler)

// Person is Address.
func Person() address.Address { return testpki.Must(address.Parse(Address)) }

// Gateway is a process that orders.
type Gateway struct {
	Store *store.Store
	// Settings are those of the test.
	Settings string

	ahead, left atomic.Int64
}

// Main runs the tests, or what a gateway does if the process is one.
func Main(m *testing.M, gateway func(*Gateway) error) {
	url := os.Getenv(envStore)
	if url == "" {
		os.Exit(m.Run())
	}
	if err := run(url, gateway); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(url string, gateway func(*Gateway) error) error {
	at, err := strconv.Atoi(os.Getenv(envAt))
	if err != nil {
		return err
	}
	ahead, err := strconv.Atoi(os.Getenv(envAhead))
	if err != nil {
		return err
	}
	g := &Gateway{Settings: os.Getenv(envSettings)}
	g.left.Store(int64(at))
	g.Pass(time.Duration(ahead) * time.Minute)
	if g.Store, err = openStore(url, g.Clock); err != nil {
		return err
	}
	return errors.Join(gateway(g), g.Store.Close())
}

func openStore(url string, clock func() time.Time) (*store.Store, error) {
	return store.Open(context.Background(), store.Config{URL: url, Key: sealing, Clock: clock, Log: Log})
}

// Step is where the process may die.
func (g *Gateway) Step() {
	if g.left.Add(-1) == 0 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

// Clock is that of the gateway. The store looks at it with each change, which makes it a step.
func (g *Gateway) Clock() time.Time {
	g.Step()
	return time.Now().Add(time.Duration(g.ahead.Load()))
}

// Pass moves the clock.
func (g *Gateway) Pass(d time.Duration) { g.ahead.Add(int64(d)) }

// Enroller orders by one enrolment for all addresses, whose calls of the provider are steps.
func (g *Gateway) Enroller(en enrol.Enrolment, tokenKey func(*certs.TokenKey) (crypto.Signer, error)) *enrol.Enroller {
	en.Name, en.PerHour, en.RenewBefore = Table, 10, 30*24*time.Hour
	en.Match = func(address.Address) bool { return true }
	en.Provider = dying{en.Provider, g}
	return enrol.New(enrol.Config{Enrolments: []enrol.Enrolment{en}, Store: g.Store, Keys: g.Store.Keys(), TokenKey: tokenKey, Clock: g.Clock, Log: Log})
}

// Order has e order for Address, until the certificate is there.
func (g *Gateway) Order(e *enrol.Enroller) error {
	ctx := context.Background()
	var err error
	for range rounds {
		if _, err = e.Issue(ctx, Person()); !errors.Is(err, certs.ErrOrdered) {
			return err
		}
		g.Pass(pause)
		if err := e.Work(ctx, Table); err != nil {
			return err
		}
	}
	return err
}

// dying is a provider before and after each call of which the process may die.
type dying struct {
	enrol.Provider
	*Gateway
}

// Begin implements enrol.Provider.
func (d dying) Begin(ctx context.Context, o *enrol.Order) (enrol.Answer, error) {
	d.Step()
	a, err := d.Provider.Begin(ctx, o)
	d.Step()
	return a, err
}

// Continue implements enrol.Provider.
func (d dying) Continue(ctx context.Context, o *enrol.Order) (enrol.Answer, error) {
	d.Step()
	a, err := d.Provider.Continue(ctx, o)
	d.Step()
	return a, err
}
