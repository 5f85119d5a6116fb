package acme_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/enrol"
	"github.com/smimerelay/smimerelay/certs/enrol/acme"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/testing/acmetest"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// The variables that make a process of this test a gateway that orders a certificate: a folder
// with its store, the server, where answers go, and by how many minutes its clock is ahead.
const (
	killFolder = "ACME_KILL_FOLDER"
	killServer = "ACME_KILL_SERVER"
	killMail   = "ACME_KILL_MAIL"
	killAhead  = "ACME_KILL_AHEAD"
)

func TestMain(m *testing.M) {
	if folder := os.Getenv(killFolder); folder != "" {
		ahead, _ := strconv.Atoi(os.Getenv(killAhead))
		if err := order(folder, time.Duration(ahead)*time.Minute); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// order is the gateway: it orders, takes the message in if it came, and answers it. Its clock
// goes on two minutes with each round.
func order(folder string, ahead time.Duration) error {
	ctx := context.Background()
	clock := func() time.Time { return time.Now().Add(ahead) }
	s, err := store.Open(ctx, store.Config{URL: filepath.Join(folder, "store.db"), Key: []byte("0123456789abcdef0123456789abcdef"), Clock: clock, Log: discard})
	if err != nil {
		return err
	}
	p, err := acme.NewProvider(acme.Config{Enrolment: table, URL: os.Getenv(killServer), CA: filepath.Join(folder, "tls.pem"), Store: s, Clock: clock})
	if err != nil {
		return err
	}
	desk := acme.NewDesk(acme.DeskConfig{Store: s, Enrolments: map[string]acme.DeskEnrolment{table: {Provider: p}}, Hostname: "gw.example.org", Clock: clock, Log: discard})
	e := enrol.New(enrol.Config{
		Enrolments: []enrol.Enrolment{{Name: table, Match: func(address.Address) bool { return true }, Key: "p256", RenewBefore: 30 * day,
			PerHour: 10, Provider: p, Origin: store.Imported}},
		Store: s, Keys: s.Keys(), Clock: clock, Log: discard,
	})
	for range 6 {
		if _, err := e.Issue(ctx, addr(alice)); err != nil && !errors.Is(err, certs.ErrOrdered) {
			return err
		}
		if raw, err := os.ReadFile(filepath.Join(folder, "mail")); err == nil {
			parsed, err := message.Parse(raw)
			if err != nil {
				return err
			}
			// Of whom it is, the test of the desk looks at.
			if _, err := desk.Take(ctx, &acme.Mail{Message: parsed, To: addr(alice), Signer: addr("acme-challenge@ca.example")}); err != nil {
				return err
			}
		}
		err := desk.Answers(ctx, func(_ context.Context, a acme.Answer) error {
			answer, err := http.Post(os.Getenv(killMail), "message/rfc822", bytes.NewReader(a.Message.Bytes())) //nolint:noctx // in a process that ends
			if err == nil {
				answer.Body.Close()
			}
			return err
		})
		if err := errors.Join(err, e.Work(ctx, table)); err != nil {
			return err
		}
		ahead += 2 * time.Minute
	}
	return s.Close()
}

// TestKilled: a gateway that is killed when a request was carried out, or its answer was sent,
// and before it knows, leaves an order that the next one finishes with the key that was there: one
// certificate is issued, for one request, to one account, and the message is answered once.
func TestKilled(t *testing.T) {
	deaths := 0
	for at := 1; ; at++ {
		if !killedOnce(t, at) {
			break
		}
		deaths++
	}
	if deaths < 10 {
		t.Errorf("only %d steps", deaths)
	}
}

// killedOnce reports whether the process came to the step.
func killedOnce(t *testing.T, at int) bool {
	t.Helper()
	dir := t.TempDir()
	server := acmetest.New(t)
	server.Mail = func(m acmetest.Message) {
		_ = os.WriteFile(filepath.Join(dir, "mail"), m.Bytes(), 0o600)
	}
	var mu sync.Mutex
	var gateway *os.Process
	left := at
	step := func(string) {
		mu.Lock()
		defer mu.Unlock()
		if left--; left == 0 {
			_ = gateway.Kill()
		}
	}
	server.Done = step
	var failed []error
	mails := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			err = server.Reply(raw)
		}
		if err != nil {
			failed = append(failed, err)
		}
		if left--; left == 0 {
			_ = gateway.Kill()
		}
	}))
	defer mails.Close()
	if err := os.WriteFile(filepath.Join(dir, "tls.pem"), testpki.Must(os.ReadFile(server.TrustFile)), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(ahead int) (died bool) {
		var out bytes.Buffer
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), killFolder+"="+dir, killServer+"="+server.URL, killMail+"="+mails.URL,
			fmt.Sprintf("%s=%d", killAhead, ahead))
		cmd.Stdout, cmd.Stderr = &out, &out
		mu.Lock()
		err := cmd.Start()
		gateway = cmd.Process
		mu.Unlock()
		if err == nil {
			err = cmd.Wait()
		}
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signal() == syscall.SIGKILL {
				return true
			}
		}
		if err != nil {
			t.Fatalf("step %d: %v: %s", at, err, &out)
		}
		return false
	}
	died := run(0)
	run(60)
	s := testpki.Must(store.Open(t.Context(), store.Config{URL: filepath.Join(dir, "store.db"), Key: []byte("0123456789abcdef0123456789abcdef"), Log: discard}))
	defer s.Close()
	mu.Lock()
	defer mu.Unlock()
	orders := testpki.Must(s.Orders(t.Context(), store.OrderQuery{}))
	id, err := s.Keys().Signing(t.Context(), addr(alice))
	if err != nil || id == nil || id.Check() != nil || server.Issued() != 1 || server.Accounts() != 1 || len(orders) != 1 || len(failed) > 0 {
		t.Errorf("step %d: %v, %d issued, %d accounts, %d orders: %+v; %v", at, err, server.Issued(), server.Accounts(), len(orders), orders, failed)
	}
	if n, replies := server.Requests("finalize"), server.Replies(); n != 1 || replies != 1 {
		t.Errorf("step %d: finalized %d times, %d answers", at, n, replies)
	}
	return died
}
