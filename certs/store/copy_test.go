package store

import (
	"crypto/sha256"
	"reflect"
	"testing"
	"time"
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
			copied, err := from.Copy(t.Context(), to.Store)
			from.must(err)
			if copied[1].Added != 1 || copied[3].Added != 1 {
				t.Errorf("%+v", copied)
			}
			a, b := got[[]Entry](from)(from.Find(t.Context(), Query{})), got[[]Entry](to)(to.Find(t.Context(), Query{}))
			if len(a) != 1 || len(b) != 1 || !reflect.DeepEqual(a, b) || !b[0].HasKey {
				t.Errorf("%+v, want %+v", b, a)
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
