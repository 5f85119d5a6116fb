package store

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestActions: who imported, issued, revoked, marked or pinned a certificate is known, and
// what comes by itself has no one.
func TestActions(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		alice := WithActor(ctx, "alice (console)")
		a, b, h := w.identity(1, "a@example.com"), w.identity(1, "b@example.com"), w.identity(1, "h@example.com")
		got[Stored](w)(w.Put(ctx, Harvested, New{Certificate: a.Certificate}, New{Certificate: h.Certificate}))
		got[Stored](w)(w.PutIdentity(alice, Imported, a))
		got[Stored](w)(w.PutIdentity(WithActor(ctx, "bob"), Imported, a)) // it is there
		steps := []func(context.Context) error{
			func(ctx context.Context) error {
				return w.SetMark(ctx, fingerprint(a), Allowed, "by phone", time.Time{})
			},
			func(ctx context.Context) error { return w.SetMark(ctx, fingerprint(a), Blocked, "stolen", time.Time{}) },
			func(ctx context.Context) error { return w.SetMark(ctx, fingerprint(a), NoMark, "", time.Time{}) },
			func(ctx context.Context) error { return w.Pin(ctx, fingerprint(a), true) },
			func(ctx context.Context) error { return w.Pin(ctx, fingerprint(a), false) },
		}
		for _, step := range steps {
			w.at = w.cfg.Clock().Add(time.Minute)
			w.must(step(alice))
		}
		w.must(w.Issued(ctx, b.Certificate))
		w.at = w.cfg.Clock().Add(time.Minute)
		w.must(w.Revoke(WithActor(ctx, "carol\x00"), b.Certificate.RawIssuer, b.Certificate.SerialNumber, now, 1))
		w.must(w.Revoke(alice, b.Certificate.RawIssuer, b.Certificate.SerialNumber, now, 1)) // it is revoked
		for _, c := range []struct {
			of   [32]byte
			want []string
		}{
			{fingerprint(h), nil},
			{fingerprint(a), []string{
				"imported alice (console) ", "allowed alice (console) by phone", "blocked alice (console) stolen",
				"cleared alice (console) ", "pinned alice (console) ", "unpinned alice (console) ",
			}},
			{fingerprint(b), []string{"issued gateway ", "revoked carol\ufffd "}},
		} {
			var texts []string
			for _, x := range got[[]Action](w)(w.Actions(ctx, c.of)) {
				texts = append(texts, fmt.Sprintf("%s %s %s", x.What, x.By, x.Note))
			}
			if !slices.Equal(texts, c.want) {
				t.Errorf("%q, want %q", texts, c.want)
			}
		}
		w.must(w.Remove(ctx, fingerprint(a), true))
		if left := got[[]Action](w)(w.Actions(ctx, fingerprint(a))); len(left) != 0 {
			t.Errorf("of a certificate that was removed: %v", left)
		}
	})
}
