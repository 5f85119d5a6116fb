package store

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// The variable that makes a process of this test the one to be killed.
const crashEnv = "STORE_CRASH_URL"

// batch is how many identities the process stores in one call.
const batch = 3

// openChild opens the store in a process of its own, with an authority to fill it
// from.
func openChild(ctx context.Context, url string) (*Store, *testpki.CA, error) {
	s, err := Open(ctx, Config{URL: url, Key: sealing})
	if err != nil {
		return nil, nil, err
	}
	ca, err := testpki.NewCA(testpki.Options{})
	return s, ca, err
}

// crashChild stores identities until it is killed, and says which are stored.
func crashChild(url string) error {
	ctx := context.Background()
	s, ca, err := openChild(ctx, url)
	if err != nil {
		return err
	}
	for n := 0; ; n++ {
		var ids []*certs.Identity
		var names []string
		for i := range batch {
			id, err := ca.Issue(testpki.Leaf{Addresses: []string{fmt.Sprintf("p%d-%d-%d@example.com", os.Getpid(), n, i)}})
			if err != nil {
				return err
			}
			ids = append(ids, (*certs.Identity)(id))
			sum := sha256.Sum256(id.Certificate.Raw)
			names = append(names, hex.EncodeToString(sum[:]))
		}
		if _, err := s.PutIdentity(ctx, Imported, ids...); err != nil {
			return err
		}
		fmt.Println(strings.Join(names, " "))
	}
}

// TestKilled: a process that is killed in the middle of its work loses nothing
// that was reported to it is stored, and leaves no half of a call.
func TestKilled(t *testing.T) {
	for _, kind := range []struct {
		name string
		url  func(*testing.T) string
	}{{"sqlite", newFile}, {"postgresql", newDatabase}} {
		t.Run(kind.name, func(t *testing.T) {
			w := newWorld(t, kind.url(t))
			var reported []string
			for round := range 5 {
				reported = append(reported, killedAfter(t, w.cfg.URL, 2+3*round)...)
			}
			w.checkWhole(reported)
		})
	}
}

// killedAfter runs a process, kills it soon after it has reported so many calls, and
// returns the fingerprints that it reported.
func killedAfter(t *testing.T, url string, calls int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), crashEnv+"="+url)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var reported []string
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		reported = append(reported, strings.Fields(lines.Text())...)
		if n == calls {
			// It goes on while the signal is on its way; what it tells until
			// then counts too.
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || ctx.Err() != nil {
		t.Fatalf("it was not killed: %v", err)
	}
	if len(reported) < batch*calls {
		t.Fatalf("it reported %d", len(reported))
	}
	return reported
}

// checkWhole looks for what was reported, and for parts of calls.
func (w *world) checkWhole(reported []string) {
	w.t.Helper()
	ctx := context.Background()
	for _, name := range reported {
		entries := got[[]Entry](w)(w.Find(ctx, Query{Prefix: name}))
		if len(entries) != 1 || !entries[0].HasKey {
			w.t.Fatalf("%s was reported as stored, and is not", name)
		}
		if id := got[*certs.Identity](w)(w.Identity(ctx, entries[0].Fingerprint)); !id.Certificate.Equal(entries[0].Certificate) {
			w.t.Errorf("%s is another", name)
		}
	}
	if n := got[int](w)(w.Count(ctx, Query{})); n%batch != 0 || n < len(reported) {
		w.t.Errorf("%d are stored, %d were reported: a call was cut in two", n, len(reported))
	}
}
