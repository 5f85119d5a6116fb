package store

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/internal/postgresdb"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

func TestPutAndFind(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		a, b := w.identity(1, "a@example.com", "both@example.com"), w.identity(2, "b@example.com", "Both@example.com")
		signer := cms.CertificateID(b.Certificate)
		stored := got[Stored](w)(w.Put(ctx, Harvested, New{Certificate: a.Certificate},
			New{Certificate: b.Certificate, Chain: a.Chain, Ciphers: []cms.Cipher{cms.AES256GCM, cms.AES128CBC}, Preferred: &signer,
				Verdict: certs.Verdict{Result: certs.Fail, Reason: certs.Expired}}))
		if stored != (Stored{New: 2}) {
			t.Errorf("stored %+v", stored)
		}
		both := addr("both@example.com")
		for _, c := range []struct {
			name string
			q    Query
			want []*certs.Identity
		}{
			{"by address, youngest first", Query{Address: &both}, []*certs.Identity{a, b}},
			{"limit", Query{Address: &both, Limit: 1}, []*certs.Identity{a}},
			{"issuer and serial", Query{Issuer: b.Certificate.RawIssuer, Serial: b.Certificate.SerialNumber}, []*certs.Identity{b}},
			{"computed key identifier", Query{KeyID: pkix.ComputedKeyID(a.Certificate)}, []*certs.Identity{a}},
			{"written key identifier", Query{KeyID: a.Certificate.SubjectKeyId}, []*certs.Identity{a}},
			{"other origin", Query{Origins: []Origin{Imported, Issued}}, nil},
			{"ends before", Query{EndsBefore: now.AddDate(0, 10, 15)}, []*certs.Identity{b}},
			{"with key", Query{HasKey: new(true)}, nil},
			{"without key, of an origin", Query{HasKey: new(false), Origins: []Origin{Harvested}, EndsBefore: now}, nil},
			{"blocked", Query{Mark: Blocked}, nil},
		} {
			entries := got[[]Entry](w)(w.Find(ctx, c.q))
			if len(entries) != len(c.want) {
				t.Errorf("%s: %d entries, not %d", c.name, len(entries), len(c.want))
				continue
			}
			for i, e := range entries {
				if !e.Certificate.Equal(c.want[i].Certificate) {
					t.Errorf("%s: entry %d is %v", c.name, i, e.Addresses)
				}
			}
		}
		e := got[[]Entry](w)(w.Find(ctx, Query{Prefix: "", Serial: b.Certificate.SerialNumber, Chain: true}))[0]
		want := Entry{
			Certificate: b.Certificate, Fingerprint: sha256.Sum256(b.Certificate.Raw), Addresses: certs.Addresses(b.Certificate),
			Origin: Harvested, FirstSeen: now, LastSeen: now, Ciphers: []cms.Cipher{cms.AES256GCM, cms.AES128CBC}, Preferred: &signer,
			Result: certs.Fail, Reason: certs.Expired, JudgedAt: now,
		}
		if diff := cmp.Diff(want, e, cmp.Comparer(func(a, b address.Address) bool { return a == b })); diff != "" {
			t.Error(diff)
		}
	})
}

// TestClaims: what an owner last signed counts, whenever the message came.
func TestClaims(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		id := w.identity(1, "a@example.com")
		other := cms.CertificateID(w.identity(1, "a@example.com").Certificate)
		weak := []cms.Cipher{cms.TripleDES}
		for i, c := range []struct {
			put       New
			ciphers   []cms.Cipher
			preferred *cms.ID
			signed    time.Time
		}{
			{New{}, nil, nil, time.Time{}},
			{New{Ciphers: weak}, weak, nil, time.Time{}},
			{New{Ciphers: strong, Preferred: &other, SignedAt: now}, strong, &other, now},
			{New{Ciphers: weak, SignedAt: now.Add(-time.Second)}, strong, &other, now},
			{New{Ciphers: weak}, strong, &other, now},
			{New{SignedAt: now.Add(time.Hour)}, strong, &other, now},
			{New{Ciphers: strong, Preferred: &other, SignedAt: now.Add(time.Hour)}, strong, &other, now.Add(time.Hour)},
			{New{Ciphers: weak, SignedAt: now.Add(time.Minute)}, strong, &other, now.Add(time.Hour)},
			{New{Ciphers: strong, SignedAt: now.Add(time.Hour)}, strong, nil, now.Add(time.Hour)},
		} {
			c.put.Certificate = id.Certificate
			got[Stored](w)(w.Put(ctx, Harvested, c.put))
			e := got[[]Entry](w)(w.Find(ctx, Query{}))[0]
			if !slices.Equal(e.Ciphers, c.ciphers) || !e.SignedAt.Equal(c.signed) || (e.Preferred == nil) != (c.preferred == nil) {
				t.Errorf("%d: %v, %v, %s", i, e.Ciphers, e.Preferred, e.SignedAt)
			}
		}
	})
}

// A certificate that comes in several ways keeps the strongest, and the dates tell
// when it was seen.
func TestOriginsAndDates(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		id := w.identity(1, "a@example.com")
		for i, c := range []struct {
			origin, want Origin
			after        time.Duration
			seen         time.Duration
		}{
			{FromDirectory, FromDirectory, 0, 0},
			{Harvested, FromDirectory, time.Minute, 0},
			{Imported, Imported, 2 * time.Minute, 2 * time.Minute},
			{FromDirectory, Imported, time.Hour, 2 * time.Minute},
			{Harvested, Imported, 2 * time.Hour, 2 * time.Hour},
		} {
			w.at = now.Add(c.after)
			got[Stored](w)(w.Put(ctx, c.origin, New{Certificate: id.Certificate, Verdict: certs.Verdict{Result: certs.Pass}}))
			e := got[[]Entry](w)(w.Find(ctx, Query{}))[0]
			if e.Origin != c.want || !e.FirstSeen.Equal(now) || !e.LastSeen.Equal(now.Add(c.seen)) {
				t.Errorf("%d: %s, %s, %s", i, e.Origin, e.FirstSeen, e.LastSeen)
			}
		}
	})
}

// What came with a certificate is there as long as a certificate that it came with.
func TestChains(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		sub := testpki.Must(w.ca.Intermediate(testpki.Options{Name: "Sub"}))
		a := (*certs.Identity)(testpki.Must(sub.Issue(testpki.Leaf{Addresses: []string{"a@example.com"}})))
		b := (*certs.Identity)(testpki.Must(sub.Issue(testpki.Leaf{Addresses: []string{"b@example.com"}})))
		got[Stored](w)(w.Put(ctx, Imported, New{Certificate: a.Certificate}))
		if s := got[Stored](w)(w.PutIdentity(ctx, Imported, a, b)); s != (Stored{New: 1, Changed: 1}) {
			t.Errorf("%+v", s)
		}
		for _, id := range []*certs.Identity{a, b} {
			back := got[*certs.Identity](w)(w.Identity(ctx, fingerprint(id)))
			if len(back.Chain) != 1 || !back.Chain[0].Equal(sub.Certificate) {
				t.Errorf("%d in the chain", len(back.Chain))
			}
			if e := got[[]Entry](w)(w.Find(ctx, Query{Serial: id.Certificate.SerialNumber, Chain: true})); len(e) != 1 || len(e[0].Chain) != 1 {
				t.Errorf("%d entries", len(e))
			}
			w.must(w.Remove(ctx, fingerprint(id), true))
		}
		var left int
		w.must(w.read.QueryRowContext(ctx, `SELECT COUNT(*) FROM store_intermediate`).Scan(&left))
		if left != 0 {
			t.Errorf("%d intermediates stay", left)
		}
	})
}

// TestPrefix finds by part of a fingerprint, as people type it, and reads the whole
// in parts.
func TestPrefix(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		for i := range 20 {
			got[Stored](w)(w.Put(ctx, Imported, New{Certificate: w.identity(1, fmt.Sprintf("p%d@example.com", i)).Certificate}))
		}
		all := got[[]Entry](w)(w.Find(ctx, Query{}))
		for _, e := range all {
			text := fmt.Sprintf("%X", e.Fingerprint)
			for _, prefix := range []string{text, text[:15], strings.ToLower(text[:12]), text[:2] + ":" + text[2:4] + ":" + text[4:6] + ":" + text[6:11]} {
				if found := got[[]Entry](w)(w.Find(ctx, Query{Prefix: prefix})); len(found) != 1 || found[0].Fingerprint != e.Fingerprint {
					t.Errorf("%s: %d found", prefix, len(found))
				}
			}
			if n := got[int](w)(w.Count(ctx, Query{Prefix: text[:1]})); n < 1 || n > 12 {
				t.Errorf("%d begin with %s", n, text[:1])
			}
		}
		var parts []Entry
		for {
			q := Query{Limit: 7}
			if len(parts) > 0 {
				q.After = parts[len(parts)-1].Fingerprint[:]
			}
			part := got[[]Entry](w)(w.Find(ctx, q))
			if parts = append(parts, part...); len(part) < 7 {
				break
			}
		}
		if len(all) != 20 || !slices.EqualFunc(all, parts, func(a, b Entry) bool { return a.Fingerprint == b.Fingerprint }) {
			t.Errorf("%d at once, %d in parts", len(all), len(parts))
		}
		for _, bad := range []string{":", "xyz", strings.Repeat("0", 65), "%"} {
			if found, err := w.Find(ctx, Query{Prefix: bad}); err == nil {
				t.Errorf("%q: %d found", bad, len(found))
			}
		}
	})
}

// TestServer: only PostgreSQL is a server, and it says what it is.
func TestServer(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		state, ok, err := w.Server(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if postgresdb.Is(w.cfg.URL) != ok {
			t.Errorf("%q is a server: %t", w.cfg.URL, ok)
		}
		if ok && (state.Version < 9 || state.Standby || state.ReadOnly || state.Standbys != 0) {
			t.Errorf("%+v", state)
		}
		if !ok {
			return
		}
		u, err := url.Parse(w.cfg.URL)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		q.Set("default_transaction_read_only", "on")
		u.RawQuery = q.Encode()
		only := w.cfg
		only.URL = u.String()
		s, err := Open(t.Context(), only)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if state, _, err := s.Server(t.Context()); err != nil || !state.ReadOnly {
			t.Errorf("%+v, %v", state, err)
		}
	})
}
