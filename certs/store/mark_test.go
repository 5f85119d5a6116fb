package store

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/path"
	"github.com/smimerelay/smimerelay/smime/cms"
)

func TestMarks(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		a, b := w.identity(1, "a@example.com"), w.identity(1, "b@example.com")
		got[Stored](w)(w.Put(ctx, Harvested, New{Certificate: a.Certificate}, New{Certificate: b.Certificate}))
		until := now.AddDate(0, 1, 0)
		w.must(w.SetMark(ctx, fingerprint(a), Allowed, "known \"by letter\"", until))
		w.must(w.SetMark(ctx, fingerprint(b), Blocked, "lost\x00 key \xff", time.Time{}))
		want := map[[32]byte]path.Exception{
			fingerprint(a): {SHA256: fingerprint(a), Allow: true, Note: "known \"by letter\"", Until: until.AddDate(0, 0, 1)}, // it applies on its last day
			fingerprint(b): {SHA256: fingerprint(b), Note: "lost\ufffd key \ufffd"},
		}
		exceptions := got[[]path.Exception](w)(w.Exceptions(ctx))
		if len(exceptions) != 2 {
			t.Errorf("%d exceptions", len(exceptions))
		}
		for _, e := range exceptions {
			if diff := cmp.Diff(want[e.SHA256], e); diff != "" {
				t.Error(diff)
			}
		}
		entries := got[[]Entry](w)(w.Find(ctx, Query{Mark: Allowed}))
		if len(entries) != 1 || entries[0].Fingerprint != fingerprint(a) || entries[0].Note != "known \"by letter\"" || !entries[0].Until.Equal(until) {
			t.Errorf("%+v", entries)
		}
		// What comes again keeps its mark.
		got[Stored](w)(w.Put(ctx, Imported, New{Certificate: b.Certificate}))
		if err := w.Remove(ctx, fingerprint(b), false); !errors.Is(err, ErrBlocked) {
			t.Errorf("a block was removed: %v", err)
		}
		w.must(w.SetMark(ctx, fingerprint(b), NoMark, "x", until))
		w.must(w.Remove(ctx, fingerprint(b), false))
		if list := got[[]path.Exception](w)(w.Exceptions(ctx)); len(list) != 1 {
			t.Errorf("%d exceptions", len(list))
		}
		for _, err := range []error{
			w.SetMark(ctx, fingerprint(b), Blocked, "", time.Time{}), w.Pin(ctx, fingerprint(b), true), w.Remove(ctx, fingerprint(b), true),
		} {
			if !errors.Is(err, ErrNotFound) {
				t.Error(err)
			}
		}
		if err := w.Pin(ctx, fingerprint(a), true); !errors.Is(err, ErrNoKey) {
			t.Error(err)
		}
		if _, err := w.Identity(ctx, fingerprint(a)); !errors.Is(err, ErrNoKey) {
			t.Error(err)
		}
		if _, err := w.Identity(ctx, fingerprint(b)); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	})
}

func TestWarnings(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		var fp, other [32]byte
		other[0] = 1
		for i, c := range []struct {
			fp        [32]byte
			threshold time.Duration
			first     bool
		}{{fp, time.Hour, true}, {fp, time.Hour, false}, {fp, 2 * time.Hour, true}, {other, time.Hour, true}, {fp, 2 * time.Hour, false}} {
			if first := got[bool](w)(w.Warned(ctx, c.fp, c.threshold)); first != c.first {
				t.Errorf("%d: %t", i, first)
			}
		}
		w.must(w.Unwarn(ctx, fp, time.Hour))
		if !got[bool](w)(w.Warned(ctx, fp, time.Hour)) {
			t.Error("the warning that was removed counts")
		}
		if got[bool](w)(w.Warned(ctx, fp, 2*time.Hour)) {
			t.Error("another was removed with it")
		}
	})
}

// TestGenerations: what depends on certificates, and what depends on trust, hears
// of exactly what concerns it.
func TestGenerations(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		a, b, ca := w.identity(1, "a@example.com"), w.identity(1, "b@example.com"), w.identity(1)
		put := func(o Origin, n New) func() error {
			return func() error { _, err := w.Put(ctx, o, n); return err }
		}
		identity := func(o Origin, id *certs.Identity) func() error {
			return func() error { _, err := w.PutIdentity(ctx, o, id); return err }
		}
		fail := certs.Verdict{Result: certs.Fail, Reason: certs.Revoked}
		for _, c := range []struct {
			name                string
			do                  func() error
			certificates, trust bool
		}{
			{"new", put(Harvested, New{Certificate: a.Certificate}), true, false},
			{"again", put(Harvested, New{Certificate: a.Certificate}), false, false},
			{"much later", func() error { w.at = now.Add(48 * time.Hour); return put(Harvested, New{Certificate: a.Certificate})() }, false, false},
			{"judged", put(Harvested, New{Certificate: a.Certificate, Verdict: fail}), false, false},
			{"claims", put(Harvested, New{Certificate: a.Certificate, Ciphers: strong, SignedAt: now}), true, false},
			{"the same claims later", put(Harvested, New{Certificate: a.Certificate, Ciphers: strong, SignedAt: now.Add(2 * time.Hour)}), false, false},
			{"stronger origin", put(Imported, New{Certificate: a.Certificate}), true, false},
			{"weaker origin", put(Harvested, New{Certificate: a.Certificate}), false, false},
			{"chain", put(Harvested, New{Certificate: a.Certificate, Chain: ca.Chain, Ciphers: strong}), false, false},
			{"identity", identity(Issued, b), true, false},
			{"identity again", identity(Issued, b), false, false},
			{"pin", func() error { return w.Pin(ctx, fingerprint(b), true) }, true, false},
			{"authority", identity(Authority, ca), true, true},
			{"mark", func() error { return w.SetMark(ctx, fingerprint(a), Allowed, "", time.Time{}) }, true, true},
			{"removal of a mark", func() error { return w.Remove(ctx, fingerprint(a), true) }, true, true},
			{"removal", func() error { return w.Remove(ctx, fingerprint(b), true) }, true, false},
			{"removal of nothing", func() error { return unlessGone(w.Remove(ctx, fingerprint(b), true)) }, false, false},
			{"warning", func() error { _, err := w.Warned(ctx, fingerprint(b), 1); return err }, false, false},
			{"issued", func() error { return w.Issued(ctx, b.Certificate) }, true, false},
			{"revoked", func() error {
				return w.Revoke(ctx, b.Certificate.RawIssuer, b.Certificate.SerialNumber, now, 1)
			}, true, true},
			{"list", func() error { return w.KeepCRL(ctx, b.Certificate.RawIssuer, 1, []byte{1}) }, false, true},
			{"older list", func() error { return w.KeepCRL(ctx, b.Certificate.RawIssuer, 1, []byte{1}) }, false, false},
			{"removal of an authority", func() error { return w.Remove(ctx, fingerprint(ca), false) }, true, true},
		} {
			certificates, trust := got[int64](w)(w.Generation(ctx)), got[int64](w)(w.TrustGeneration(ctx))
			if err := c.do(); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			if latest := w.Latest(); c.certificates && latest != certificates+1 {
				t.Errorf("%s: this process knows %d, not %d", c.name, latest, certificates+1)
			}
			certificates, trust = got[int64](w)(w.Generation(ctx))-certificates, got[int64](w)(w.TrustGeneration(ctx))-trust
			if (certificates != 0) != c.certificates || (trust != 0) != c.trust || certificates < 0 || trust < 0 {
				t.Errorf("%s: certificates %+d, trust %+d", c.name, certificates, trust)
			}
		}
	})
}

// unlessGone lets pass that something is not there.
func unlessGone(err error) error {
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

var strong = []cms.Cipher{cms.AES256GCM, cms.AES128CBC}

// TestAddressVersions: each change of a certificate is one for the addresses that it
// names, and for no others.
func TestAddressVersions(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		a, again, other := w.identity(1, "a@example.com"), w.identity(2, "A@example.com"), w.identity(1, "b@example.com")
		version := func(text string) uint64 { return got[uint64](w)(w.AddressVersion(ctx, addr(text))) }
		seen := map[uint64]string{version("a@example.com"): "empty"}
		w.must(w.Issued(ctx, a.Certificate))
		for _, c := range []struct {
			name string
			do   func() error
		}{
			{"new", func() error { _, err := w.Put(ctx, Harvested, New{Certificate: a.Certificate}); return err }},
			{"ciphers", func() error {
				_, err := w.Put(ctx, Harvested, New{Certificate: a.Certificate, Ciphers: strong})
				return err
			}},
			{"key", func() error { _, err := w.PutIdentity(ctx, Imported, a); return err }},
			{"second", func() error { _, err := w.PutIdentity(ctx, Imported, again); return err }},
			{"pin", func() error { return w.Pin(ctx, fingerprint(a), true) }},
			{"mark", func() error { return w.SetMark(ctx, fingerprint(a), Allowed, "", time.Time{}) }},
			{"revocation", func() error {
				return w.Revoke(ctx, a.Certificate.RawIssuer, a.Certificate.SerialNumber, now, 1)
			}},
			{"removal", func() error { return w.Remove(ctx, fingerprint(again), false) }},
		} {
			b := version("b@example.com")
			w.must(c.do())
			now := version("a@example.com")
			if before, ok := seen[now]; ok {
				t.Errorf("%s: the version is that after %s", c.name, before)
			}
			seen[now] = c.name
			if version("b@example.com") != b {
				t.Errorf("%s: another domain's version changed", c.name)
			}
			got[Stored](w)(w.Put(ctx, Harvested, New{Certificate: other.Certificate, Chain: a.Chain}))
			if version("a@example.com") != now {
				t.Errorf("%s: the version changed with another domain's", c.name)
			}
		}
	})
}
