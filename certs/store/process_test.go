package store

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// The variable that makes a process of this test one of several that write.
const writerEnv = "STORE_WRITER_URL"

// perWriter is how many identities each of them stores.
const perWriter = 15

// writerChild opens a store, which may not be there yet, and stores identities.
func writerChild(url string) error {
	ctx := context.Background()
	s, ca, err := openChild(ctx, url)
	if err != nil {
		return err
	}
	shared, err := ca.Issue(testpki.Leaf{Addresses: []string{"shared@example.com"}})
	if err != nil {
		return err
	}
	for range perWriter {
		id, err := ca.Issue(testpki.Leaf{Addresses: []string{"a@example.com"}})
		if err != nil {
			return err
		}
		if _, err := s.PutIdentity(ctx, Imported, (*certs.Identity)(id), (*certs.Identity)(shared)); err != nil {
			return err
		}
	}
	return s.Close()
}

// TestProcesses: several processes open an empty store at once and write, while
// this one reads.
func TestProcesses(t *testing.T) {
	for _, url := range []string{newFile(t), newDatabase(t)} {
		var wg sync.WaitGroup
		const writers = 4
		for range writers {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), writerEnv+"="+url)
			wg.Go(func() {
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%v: %s", err, out)
				}
			})
		}
		done := make(chan struct{})
		go func() { wg.Wait(); close(done) }()
		w := newWorld(t, url)
		ctx := context.Background()
		last := int64(0)
		for running := true; running; {
			select {
			case <-done:
				running = false
			default:
			}
			generation := got[int64](w)(w.Generation(ctx))
			n := got[int](w)(w.Count(ctx, Query{HasKey: new(true)}))
			if generation < last {
				t.Fatalf("the generation fell from %d to %d", last, generation)
			}
			last = generation
			got[*certs.Identity](w)(w.Keys().Signing(ctx, addr("a@example.com")))
			if all := got[int](w)(w.Count(ctx, Query{})); all < n {
				t.Fatalf("%d of %d have a key", n, all)
			}
		}
		if n := got[int](w)(w.Count(ctx, Query{HasKey: new(true)})); n != writers*(perWriter+1) {
			t.Errorf("%d are stored", n)
		}
		if want := int64(1 + writers*perWriter); got[int64](w)(w.Generation(ctx)) != want {
			t.Errorf("generation %d, not %d", got[int64](w)(w.Generation(ctx)), want)
		}
	}
}

// Goroutines of one process share a store, also in memory, where there is one
// connection; a call that is broken off breaks nothing.
func TestGoroutines(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		var wg sync.WaitGroup
		for g := range 4 {
			ids := []*certs.Identity{}
			for i := range 10 {
				ids = append(ids, w.identity(1, fmt.Sprintf("g%d-%d@example.com", g, i)))
			}
			wg.Go(func() {
				for i, id := range ids {
					ctx, cancel := context.WithCancel(context.Background())
					if i%3 == 2 {
						go cancel()
						w.PutIdentity(ctx, Imported, id) // may come too late to be broken off
					}
					if _, err := w.PutIdentity(context.Background(), Imported, id); err != nil {
						t.Error(err)
					}
					cancel()
					if found, err := w.Keys().Signing(context.Background(), certs.Addresses(id.Certificate)[0]); err != nil || found == nil {
						t.Errorf("%v, %v", found, err)
					}
				}
			})
		}
		wg.Wait()
		if n := got[int](w)(w.Count(context.Background(), Query{})); n != 40 {
			t.Errorf("%d are stored", n)
		}
	})
}
