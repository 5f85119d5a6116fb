package store

import (
	"context"
	"crypto/sha256"
	"slices"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime/cms"
)

func TestCiphers(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		heard, silent := w.identity(1, "a@example.com"), w.identity(2, "a@example.com")
		ciphers := []cms.Cipher{cms.AES256GCM, cms.AES128CBC}
		got[Stored](w)(w.Put(ctx, Harvested, New{Certificate: heard.Certificate, Ciphers: ciphers, SignedAt: now}))
		got[Stored](w)(w.Put(ctx, Imported, New{Certificate: silent.Certificate}))
		fp := sha256.Sum256(heard.Certificate.Raw)
		known := got[map[[32]byte][]cms.Cipher](w)(w.Ciphers(ctx, fp, sha256.Sum256(silent.Certificate.Raw), [32]byte{1}))
		if len(known) != 1 || !slices.Equal(known[fp], ciphers) {
			t.Errorf("known %v", known)
		}
		if known := got[map[[32]byte][]cms.Cipher](w)(w.Ciphers(ctx)); len(known) != 0 {
			t.Errorf("without an address: %v", known)
		}
	})
}

func TestJudgedIsNoChange(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		id := w.identity(1, "a@example.com")
		got[Stored](w)(w.Put(ctx, Harvested, New{Certificate: id.Certificate}))
		before := got[int64](w)(w.Generation(ctx))
		w.at = now.Add(time.Hour)
		w.must(w.Judged(ctx, nil))
		w.must(w.Judged(ctx, map[[32]byte]certs.Verdict{
			sha256.Sum256(id.Certificate.Raw): {Result: certs.Fail, Reason: certs.Revoked},
			{1}:                               {Result: certs.Pass},
		}))
		all := got[[]Entry](w)(w.Find(ctx, Query{}))
		if len(all) != 1 || all[0].Result != certs.Fail || all[0].Reason != certs.Revoked || !all[0].JudgedAt.Equal(w.at) {
			t.Errorf("entries %+v", all)
		}
		if after := got[int64](w)(w.Generation(ctx)); after != before {
			t.Errorf("the generation went from %d to %d", before, after)
		}
	})
}

// TestForgetOnlyWhatWasOnlyHarvested keeps all that an administrator decided about.
func TestForgetOnlyWhatWasOnlyHarvested(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		plain, blocked, allowed, imported, own := w.identity(1, "a@example.com"), w.identity(2, "a@example.com"),
			w.identity(3, "a@example.com"), w.identity(4, "a@example.com"), w.identity(5, "a@example.com")
		var all [][32]byte
		for _, id := range []*certs.Identity{plain, blocked, allowed} {
			got[Stored](w)(w.Put(ctx, Harvested, New{Certificate: id.Certificate}))
		}
		got[Stored](w)(w.Put(ctx, Imported, New{Certificate: imported.Certificate}))
		got[Stored](w)(w.PutIdentity(ctx, Imported, own))
		for _, id := range []*certs.Identity{plain, blocked, allowed, imported, own} {
			all = append(all, sha256.Sum256(id.Certificate.Raw))
		}
		w.must(w.SetMark(ctx, all[1], Blocked, "", time.Time{}))
		w.must(w.SetMark(ctx, all[2], Allowed, "", time.Time{}))
		before := got[int64](w)(w.Generation(ctx))
		if n := got[int](w)(w.Forget(ctx, all...)); n != 1 {
			t.Errorf("forgot %d", n)
		}
		if left := got[[]Entry](w)(w.Find(ctx, Query{})); len(left) != 4 {
			t.Errorf("%d are left", len(left))
		}
		if after := got[int64](w)(w.Generation(ctx)); after == before {
			t.Error("it is no change")
		}
		if n := got[int](w)(w.Forget(ctx, all...)); n != 0 {
			t.Errorf("forgot %d again", n)
		}
	})
}
