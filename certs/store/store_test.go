package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/address"
	"github.com/smimerelay/smimerelay/internal/pki"
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
			{"computed key identifier", Query{KeyID: pki.ComputedKeyID(a.Certificate)}, []*certs.Identity{a}},
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

func TestIdentities(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		id := w.identity(1, "a@example.com")
		got[Stored](w)(w.PutIdentity(ctx, Imported, id))
		back := got[*certs.Identity](w)(w.Identity(ctx, sha256.Sum256(id.Certificate.Raw)))
		w.must(back.Check())
		if err := w.Remove(ctx, sha256.Sum256(id.Certificate.Raw), false); !errors.Is(err, ErrLastKey) {
			t.Errorf("the last key was removed: %v", err)
		}
		if signer := got[*certs.Identity](w)(w.Keys().Signing(ctx, addr("A@example.com"))); signer == nil {
			t.Error("nobody signs")
		}
		w.must(w.Remove(ctx, sha256.Sum256(id.Certificate.Raw), true))
		if signer := got[*certs.Identity](w)(w.Keys().Signing(ctx, addr("A@example.com"))); signer != nil {
			t.Error("the removed key signs")
		}
	})
}
