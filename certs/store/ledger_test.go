package store

import (
	"context"
	"errors"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

func TestLedger(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		issuer, stranger := w.ca.Certificate.RawSubject, testpki.Must(testpki.NewCA(testpki.Options{Name: "Other"})).Certificate.RawSubject
		a, b, c := w.identity(1, "a@example.com").Certificate, w.identity(11, "b@example.com").Certificate, w.identity(1, "c@example.com").Certificate
		w.must(w.Issued(ctx, a))
		w.at = now.Add(time.Hour)
		w.must(w.Issued(ctx, b))
		if err := w.Issued(ctx, a); err == nil {
			t.Error("one serial number was issued twice")
		}
		for at, want := range map[time.Time]int{now: 2, now.Add(time.Second): 1, now.Add(2 * time.Hour): 0} {
			if n := got[int](w)(w.IssuedSince(ctx, issuer, at)); n != want {
				t.Errorf("%d since %s", n, at)
			}
		}
		if n := got[int](w)(w.IssuedSince(ctx, stranger, now)); n != 0 {
			t.Errorf("%d by another", n)
		}
		got[Stored](w)(w.Put(ctx, Issued, New{Certificate: a}, New{Certificate: c}))
		for _, err := range []error{
			w.Revoke(ctx, issuer, c.SerialNumber, now, 1), w.Revoke(ctx, stranger, a.SerialNumber, now, 1), w.Revoke(ctx, issuer, big.NewInt(-1), now, 1),
		} {
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("revoked what was not issued: %v", err)
			}
		}
		w.must(w.Revoke(ctx, issuer, a.SerialNumber, now, 4))
		w.must(w.Revoke(ctx, issuer, a.SerialNumber, now.Add(time.Hour), 1))
		w.must(w.Revoke(ctx, issuer, b.SerialNumber, now.Add(time.Minute), 0))
		list, err := w.Revoked(ctx, issuer, now)
		if err != nil || len(list) != 2 {
			t.Fatalf("%v, %v", list, err)
		}
		if e := list[0]; e.SerialNumber.Cmp(a.SerialNumber) != 0 || !e.RevocationTime.Equal(now) || e.ReasonCode != 4 {
			t.Errorf("%+v", e)
		}
		if list, err = w.Revoked(ctx, issuer, now.AddDate(0, 2, 0)); err != nil || len(list) != 1 {
			t.Errorf("the expired one stays: %v, %v", list, err)
		}
		if list, err = w.Revoked(ctx, stranger, now); err != nil || len(list) != 0 {
			t.Errorf("%v, %v", list, err)
		}
		e := got[[]Entry](w)(w.Find(ctx, Query{Serial: a.SerialNumber}))[0]
		if !e.RevokedAt.Equal(now) || e.RevocationReason != 4 {
			t.Errorf("the entry is revoked at %s for %d", e.RevokedAt, e.RevocationReason)
		}
		if e := got[[]Entry](w)(w.Find(ctx, Query{Serial: c.SerialNumber}))[0]; !e.RevokedAt.IsZero() {
			t.Error("so is another")
		}
	})
}

func TestRevocationLists(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		issuer := w.ca.Certificate.RawSubject
		if crl := got[[]byte](w)(w.CRL(ctx, issuer)); crl != nil {
			t.Error("there is a list")
		}
		// Several nodes at once: each number once.
		var mu sync.Mutex
		seen := map[int64]bool{}
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				n, err := w.NextCRLNumber(ctx, issuer)
				mu.Lock()
				defer mu.Unlock()
				if err != nil || seen[n] {
					t.Errorf("%d: %v", n, err)
				}
				seen[n] = true
			})
		}
		wg.Wait()
		if !seen[1] || !seen[20] {
			t.Errorf("%v", seen)
		}
		w.must(w.KeepCRL(ctx, issuer, 12, []byte("twelve")))
		w.must(w.KeepCRL(ctx, issuer, 11, []byte("eleven")))
		if crl := got[[]byte](w)(w.CRL(ctx, issuer)); string(crl) != "twelve" {
			t.Errorf("%q", crl)
		}
		if n := got[int64](w)(w.NextCRLNumber(ctx, issuer)); n != 21 {
			t.Errorf("the next is %d", n)
		}
	})
}
