package store

import (
	"crypto/sha256"
	"crypto/x509"
	"database/sql"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
)

// All that is in a store is in another one after Copy, from file to database and back,
// and a second Copy adds nothing.
func TestCopy(t *testing.T) {
	for name, urls := range map[string][]string{
		"to PostgreSQL": {newFile(t), newDatabase(t)}, "to SQLite": {newDatabase(t), newFile(t)},
	} {
		t.Run(name, func(t *testing.T) {
			from := newWorld(t, urls[0])
			to := newWorld(t, urls[1])
			id := from.identity(1, "a@example.com")
			_, err := from.PutIdentity(t.Context(), Imported, id)
			from.must(err)
			from.must(from.SetMark(t.Context(), sha256.Sum256(id.Certificate.Raw), Allowed, "by phone", now.Add(time.Hour)))
			from.must(from.NotePublished(t.Context(), "dns", "x", Written{Values: [][]byte{{1}}, Done: true}, nil))
			copied, err := from.Copy(t.Context(), to.Store)
			from.must(err)
			if copied[1].Added != 1 || copied[3].Added != 1 {
				t.Errorf("%+v", copied)
			}
			a, b := got[[]Entry](from)(from.Find(t.Context(), Query{})), got[[]Entry](to)(to.Find(t.Context(), Query{}))
			if len(a) != 1 || len(b) != 1 || !reflect.DeepEqual(a, b) || !b[0].HasKey {
				t.Errorf("%+v, want %+v", b, a)
			}
			if did := got[[]Action](to)(to.Actions(t.Context(), sha256.Sum256(id.Certificate.Raw))); len(did) != 2 {
				t.Errorf("what was done with it: %+v", did)
			}
			if w := got[map[string]Written](to)(to.Published(t.Context(), "dns")); !w["x"].Done || len(w["x"].Values) != 1 {
				t.Errorf("what is published: %+v", w)
			}
			to.decrypts(to.Keys(), id, 1)
			again, err := from.Copy(t.Context(), to.Store)
			from.must(err)
			for _, n := range again {
				if n.Added != 0 {
					t.Errorf("again: %+v", n)
				}
			}
		})
	}
}

// TestCopyWithoutKey: where there are private keys, in either store, nothing is copied
// unless it is known that both have the same key file.
func TestCopyWithoutKey(t *testing.T) {
	from := newWorld(t, newFile(t))
	_, err := from.PutIdentity(t.Context(), Imported, from.identity(1, "a@example.com"))
	from.must(err)
	open := func(url string) *Store {
		s := got[*Store](from)(Open(t.Context(), Config{URL: url, Clock: from.cfg.Clock}))
		t.Cleanup(func() { from.must(s.Close()) })
		return s
	}
	keyless, empty := open(from.cfg.URL), open(newFile(t))
	if copied, err := keyless.Copy(t.Context(), empty); !errors.Is(err, errNoKeyFile) || len(copied) != 0 {
		t.Errorf("from a store with keys: %v, %v", copied, err)
	}
	if copied, err := empty.Copy(t.Context(), keyless); !errors.Is(err, errNoKeyFile) || len(copied) != 0 {
		t.Errorf("to a store with keys: %v, %v", copied, err)
	}
	if _, err := empty.Copy(t.Context(), open(newFile(t))); err != nil {
		t.Errorf("stores without keys: %v", err)
	}
}

// TestCopyAgain: what was blocked or revoked in the old store after a first copy is so in the
// new one after the second.
func TestCopyAgain(t *testing.T) {
	for name, urls := range map[string][]string{
		"to PostgreSQL": {newFile(t), newDatabase(t)}, "to SQLite": {newDatabase(t), newFile(t)},
	} {
		t.Run(name, func(t *testing.T) {
			from, to := newWorld(t, urls[0]), newWorld(t, urls[1])
			var ids []*certs.Identity
			for _, address := range []string{"a@example.com", "b@example.com", "c@example.com"} {
				id := from.identity(1, address)
				got[Stored](from)(from.Put(t.Context(), Issued, New{Certificate: id.Certificate}))
				from.must(from.Issued(t.Context(), id.Certificate))
				ids = append(ids, id)
			}
			copyAll := func() { _, err := from.Copy(t.Context(), to.Store); from.must(err) }
			copyAll()
			to.must(to.SetMark(t.Context(), sha256.Sum256(ids[1].Certificate.Raw), Allowed, "there", time.Time{}))
			for _, id := range ids {
				from.must(from.SetMark(t.Context(), sha256.Sum256(id.Certificate.Raw), Blocked, "stolen", time.Time{}))
				from.must(from.Revoke(t.Context(), from.ca.Certificate.RawSubject, id.Certificate.SerialNumber, now, 1))
			}
			copyAll()
			for _, e := range got[[]Entry](to)(to.Find(t.Context(), Query{})) {
				if e.Mark != Blocked || e.Note != "stolen" {
					t.Errorf("%v: %q %q", certs.Addresses(e.Certificate), e.Mark, e.Note)
				}
			}
			if list := got[[]x509.RevocationListEntry](to)(to.Revoked(t.Context(), from.ca.Certificate.RawSubject, now)); len(list) != 3 {
				t.Errorf("revoked: %v", list)
			}
		})
	}
}

// TestInterruptedCopy: what was blocked in the old store signs no more in the new one, also where
// a gateway uses that already and the copy ends before it is whole.
func TestInterruptedCopy(t *testing.T) {
	for name, urls := range map[string][]string{
		"to PostgreSQL": {newFile(t), newDatabase(t)}, "to SQLite": {newDatabase(t), newFile(t)},
	} {
		t.Run(name, func(t *testing.T) {
			from, to := newWorld(t, urls[0]), newWorld(t, urls[1])
			id := from.identity(1, "a@example.com")
			got[Stored](from)(from.PutIdentity(t.Context(), Imported, id))
			got[[]Copied](from)(from.Copy(t.Context(), to.Store))
			if got[*certs.Identity](to)(to.Keys().Signing(t.Context(), addr("a@example.com"))) == nil {
				t.Fatal("it was not copied")
			}
			trust := got[int64](to)(to.TrustGeneration(t.Context()))
			from.must(from.SetMark(t.Context(), fingerprint(id), Blocked, "stolen", time.Time{}))
			got[bool](from)(from.Warned(t.Context(), fingerprint(id), time.Hour))
			got[sql.Result](to)(to.write.ExecContext(t.Context(), `DROP TABLE store_warned`))
			if _, err := from.Copy(t.Context(), to.Store); err == nil {
				t.Fatal("nothing interrupts it")
			}
			if got[*certs.Identity](to)(to.Keys().Signing(t.Context(), addr("a@example.com"))) != nil {
				t.Error("it signs")
			}
			if got[int64](to)(to.TrustGeneration(t.Context())) == trust {
				t.Error("path validation does not see that")
			}
		})
	}
}
