package store

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

func fingerprint(id *certs.Identity) [32]byte { return sha256.Sum256(id.Certificate.Raw) }

// signs fails the test unless id, nil for none, signs for an address.
func (w *world) signs(k certs.Keys, text string, id *certs.Identity) {
	w.t.Helper()
	found := got[*certs.Identity](w)(k.Signing(context.Background(), addr(text)))
	switch {
	case found == nil && id == nil:
	case found == nil || id == nil:
		w.t.Errorf("%s: signed by %v, not %v", text, found, id)
	case !found.Certificate.Equal(id.Certificate):
		w.t.Errorf("%s: signed by the certificate of %s", text, found.Certificate.NotBefore)
	case found.Check() != nil:
		w.t.Errorf("%s: %v", text, found.Check())
	}
}

// decrypts fails the test unless exactly these decrypt what is encrypted to id,
// however its recipient info names it.
func (w *world) decrypts(k certs.Keys, id *certs.Identity, want int) {
	w.t.Helper()
	c := id.Certificate
	serial := cms.CertificateID(c)
	for name, rid := range map[string]cms.ID{
		"serial":   {RawIssuer: serial.RawIssuer, Serial: serial.Serial},
		"written":  {SubjectKeyID: c.SubjectKeyId},
		"computed": {SubjectKeyID: pkix.ComputedKeyID(c)},
	} {
		if found := got[[]*certs.Identity](w)(k.Decryption(context.Background(), rid)); len(found) != want {
			w.t.Errorf("by %s: %d decrypt, not %d", name, len(found), want)
		}
	}
}

// TestHistory: a renewed identity signs at once, what it replaces decrypts for as
// long as it is there, also after its end, and then no more.
func TestHistory(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		expired, old, young, next := w.identity(20, "a@example.com"), w.identity(9, "a@example.com"), w.identity(1, "A@example.com"), w.identity(-1, "a@example.com")
		keys := w.Keys()
		w.signs(keys, "a@example.com", nil)
		got[Stored](w)(w.PutIdentity(ctx, Imported, expired, old))
		w.signs(keys, "a@example.com", old)
		got[Stored](w)(w.PutIdentity(ctx, Issued, young, next))
		w.signs(keys, "a@example.com", young)
		w.signs(keys, "b@example.com", nil)
		for _, id := range []*certs.Identity{expired, old, young, next} {
			w.decrypts(keys, id, 1)
		}
		w.must(w.Pin(ctx, fingerprint(old), true))
		w.signs(keys, "a@example.com", old)
		w.must(w.Pin(ctx, fingerprint(young), true))
		w.signs(keys, "a@example.com", young)
		w.must(w.Pin(ctx, fingerprint(old), true))
		w.must(w.Remove(ctx, fingerprint(old), false))
		w.signs(keys, "a@example.com", young)
		w.decrypts(keys, old, 0)
		w.at = now.AddDate(0, 2, 0)
		w.signs(keys, "a@example.com", next)
		w.at = now.AddDate(2, 0, 0)
		w.signs(keys, "a@example.com", nil)
		w.decrypts(keys, young, 1)
		w.must(w.Remove(ctx, fingerprint(young), false))
		w.must(w.Remove(ctx, fingerprint(next), false))
		if err := w.Remove(ctx, fingerprint(expired), false); !errors.Is(err, ErrLastKey) {
			t.Errorf("the last key was removed: %v", err)
		}
		w.decrypts(keys, expired, 1)
		w.must(w.Remove(ctx, fingerprint(expired), true))
		w.decrypts(keys, expired, 0)
		if err := w.Remove(ctx, fingerprint(expired), true); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	})
}

// TestLastKey: what counts is whether something else decrypts.
func TestLastKey(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		both := w.identity(3, "a@example.com", "b@example.com")
		onlyA := w.identity(2, "a@example.com")
		signer := (*certs.Identity)(testpki.Must(w.ca.Issue(testpki.Leaf{Addresses: []string{"b@example.com"}, Key: "ed25519"})))
		public := w.identity(1, "b@example.com")
		got[Stored](w)(w.PutIdentity(ctx, Imported, both, onlyA, signer))
		got[Stored](w)(w.Put(ctx, Imported, New{Certificate: public.Certificate}))
		if err := w.Remove(ctx, fingerprint(both), false); !errors.Is(err, ErrLastKey) {
			t.Errorf("nothing else decrypts for b: %v", err)
		}
		w.must(w.Remove(ctx, fingerprint(signer), false))
		w.must(w.Remove(ctx, fingerprint(public), false))
		w.must(w.Remove(ctx, fingerprint(onlyA), false))
		got[Stored](w)(w.PutIdentity(ctx, Imported, w.identity(1, "a@example.com"), w.identity(1, "b@example.com")))
		w.must(w.Remove(ctx, fingerprint(both), false))
		// What decrypts nothing takes no key away.
		lonely := (*certs.Identity)(testpki.Must(w.ca.Issue(testpki.Leaf{Addresses: []string{"c@example.com"}, Key: "ed25519"})))
		got[Stored](w)(w.PutIdentity(ctx, Imported, lonely))
		w.must(w.Remove(ctx, fingerprint(lonely), false))
	})
}

// TestRemovedElsewhere: a key that another process removed is gone here too, and
// does not stay in memory.
func TestRemovedElsewhere(t *testing.T) {
	for _, url := range []string{newFile(t), newDatabase(t)} {
		w := newWorld(t, url)
		ctx := context.Background()
		elsewhere := w.open(w.cfg)
		a, b := w.identity(1, "a@example.com"), w.identity(1, "b@example.com")
		got[Stored](w)(elsewhere.PutIdentity(ctx, Imported, a, b))
		w.signs(w.Keys(), "a@example.com", a)
		w.signs(w.Keys(), "b@example.com", b)
		if n := w.keys.opened.Len(); n != 2 {
			t.Fatalf("%d are kept", n)
		}
		w.must(elsewhere.Remove(ctx, fingerprint(a), true))
		w.signs(w.Keys(), "a@example.com", nil)
		w.decrypts(w.Keys(), a, 0)
		w.signs(w.Keys(), "b@example.com", b)
		if _, ok := w.keys.opened.Get(fingerprint(a)); ok {
			t.Error("the removed key is kept in memory")
		}
		w.must(elsewhere.Pin(ctx, fingerprint(b), true))
		if id := got[*certs.Identity](w)(w.Keys().Signing(ctx, addr("b@example.com"))); !id.Pinned {
			t.Error("the pin went unnoticed")
		}
	}
}

// Keys of our authorities never serve for mail, whatever address they name.
func TestAuthorityIsNoIdentity(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id := w.identity(1, "ca@example.com")
		got[Stored](w)(w.PutIdentity(context.Background(), Authority, id))
		w.signs(w.Keys(), "ca@example.com", nil)
		w.decrypts(w.Keys(), id, 0)
		got[*certs.Identity](w)(w.Identity(context.Background(), fingerprint(id)))
		// It stays one, however it comes again.
		got[Stored](w)(w.PutIdentity(context.Background(), Imported, id))
		w.signs(w.Keys(), "ca@example.com", nil)
	})
}

// Identities of whole domains are found by the address in them, as any other.
func TestDomainIdentities(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id := w.identity(1, "domain-signing-authority@example.com")
		got[Stored](w)(w.PutIdentity(context.Background(), Imported, id))
		w.signs(w.Keys(), "domain-signing-authority@example.com", id)
		w.signs(w.Keys(), "a@example.com", nil)
	})
}

func TestLocalParts(t *testing.T) {
	w := newWorld(t, newFile(t))
	ctx := context.Background()
	id := w.identity(1, "Anna@example.com")
	got[Stored](w)(w.PutIdentity(ctx, Imported, id))
	exact := w.cfg
	exact.LocalPart = address.ExactCase
	s := w.open(exact)
	for text, want := range map[string]*certs.Identity{"anna@example.com": nil, "Anna@EXAMPLE.com": id} {
		w.signs(s.Keys(), text, want)
		a := addr(text)
		n, entries := got[int](w)(s.Count(ctx, Query{Address: &a})), got[[]Entry](w)(s.Find(ctx, Query{Address: &a, Limit: 1}))
		if (n == 1) != (want != nil) || len(entries) != n {
			t.Errorf("%s: %d", text, n)
		}
	}
	w.signs(w.Keys(), "aNNA@example.com", id)
	w.signs(w.Keys(), "", nil)
}

// A blocked identity does not sign, as long as it is blocked.
func TestBlockedIdentity(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		id := w.identity(1, "a@example.com")
		got[Stored](w)(w.PutIdentity(ctx, Imported, id))
		day := now.UTC().Truncate(24 * time.Hour)
		w.must(w.SetMark(ctx, fingerprint(id), Blocked, "lost", day))
		w.signs(w.Keys(), "a@example.com", nil)
		w.at = day.Add(24*time.Hour - time.Second) // it is the last day of the block
		w.signs(w.Keys(), "a@example.com", nil)
		if why := w.Keys().WhyNot(ctx, addr("a@example.com")); why != "blocked by an administrator" {
			t.Errorf("why not: %q", why)
		}
		if e := got[[]Entry](w)(w.Find(ctx, Query{Mark: Blocked})); len(e) != 1 || !e[0].BlockedAt(w.at) || e[0].BlockedAt(w.at.Add(time.Hour)) {
			t.Errorf("%+v", e)
		}
		w.decrypts(w.Keys(), id, 1)
		w.at = day.Add(25 * time.Hour)
		w.signs(w.Keys(), "a@example.com", id)
		if why := w.Keys().WhyNot(ctx, addr("a@example.com")); why == "blocked by an administrator" {
			t.Errorf("why not after the block: %q", why)
		}
		w.must(w.SetMark(ctx, fingerprint(id), Blocked, "lost", time.Time{}))
		w.signs(w.Keys(), "a@example.com", nil)
		w.must(w.SetMark(ctx, fingerprint(id), Allowed, "", time.Time{}))
		w.signs(w.Keys(), "a@example.com", id)
	})
}

// A key that only signs is paired with the one to encrypt to, also where the two
// were imported one by one; with one that is blocked it is not.
func TestSigningPairs(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		half := func(usage x509.KeyUsage) *certs.Identity {
			return (*certs.Identity)(testpki.Must(w.ca.Issue(testpki.Leaf{Addresses: []string{"a@example.com"}, KeyUsage: usage})))
		}
		signs, encrypts := half(x509.KeyUsageDigitalSignature), half(x509.KeyUsageKeyAgreement)
		announced := func() bool {
			id := got[*certs.Identity](w)(w.Keys().Signing(ctx, addr("a@example.com")))
			return id != nil && slices.ContainsFunc(id.Chain, encrypts.Certificate.Equal)
		}
		got[Stored](w)(w.PutIdentity(ctx, Imported, signs))
		if announced() {
			t.Error("announced before it is there")
		}
		got[Stored](w)(w.PutIdentity(ctx, Imported, encrypts))
		if !announced() {
			t.Error("not announced")
		}
		w.must(w.SetMark(ctx, fingerprint(encrypts), Blocked, "", time.Time{}))
		if announced() {
			t.Error("announced though it is blocked")
		}
	})
}

// TestAnswersAreKept: a question is answered by what was found before, as long as nothing
// of what the answer depends on has changed, whichever process changed it.
func TestAnswersAreKept(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		id := w.identity(1, "a@example.com")
		asked := question{byAddress, "a@example.com"}
		ask := func(q question) *certs.FileKeys {
			t.Helper()
			return got[*certs.FileKeys](w)(w.keys.ask(ctx, q))
		}
		none := ask(asked)
		if ask(asked) != none {
			t.Error("that there is no identity was looked for twice")
		}
		got[Stored](w)(w.PutIdentity(ctx, Imported, id))
		stored := ask(asked)
		if ask(asked) != stored || len(stored.Identities()) != 1 {
			t.Error("the identity was looked for twice, or not found")
		}
		got[bool](w)(w.Warned(ctx, fingerprint(id), time.Hour))
		if ask(asked) != stored {
			t.Error("it was looked for again after a change that is not one of certificates")
		}
		w.must(w.SetMark(ctx, fingerprint(id), Blocked, "", w.at))
		if n := len(ask(asked).Identities()); n != 0 {
			t.Errorf("%d identities in use, and one is blocked", n)
		}
		w.at = w.at.AddDate(0, 0, 1)
		if n := len(ask(asked).Identities()); n != 0 {
			t.Error("in use in the last second of its block")
		}
		w.at = w.at.Add(time.Second)
		if n := len(ask(asked).Identities()); n != 1 {
			t.Error("not in use after its block")
		}
		w.at = w.at.Add(-time.Minute)
		if n := len(ask(asked).Identities()); n != 0 {
			t.Error("in use after the clock was set back to the time of its block")
		}
	})
}

// TestLongQuestionsAreNotKept: strangers name key identifiers.
func TestLongQuestionsAreNotKept(t *testing.T) {
	w := newWorld(t, newFile(t))
	for _, n := range []int{maxArgument, maxArgument + 1} {
		got[[]*certs.Identity](w)(w.Keys().Decryption(context.Background(), cms.ID{SubjectKeyID: make([]byte, n)}))
	}
	if n := w.keys.answers.Len(); n != 1 {
		t.Errorf("%d answers are kept", n)
	}
}

// BenchmarkSigning looks for the identity of an author, as each message does that is signed.
func BenchmarkSigning(b *testing.B) {
	w := newWorld(b, filepath.Join(b.TempDir(), "store.db"))
	got[Stored](w)(w.PutIdentity(context.Background(), Imported, w.identity(1, "a@example.com")))
	a := addr("a@example.com")
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		if id, err := w.Keys().Signing(ctx, a); err != nil || id == nil {
			b.Fatal(id, err)
		}
	}
}
