package store

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

func digest(text string) [sha256.Size]byte { return sha256.Sum256([]byte(text)) }

func TestImport(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		a, b, c := w.identity(1, "a@x.org"), w.identity(1, "b@x.org"), w.identity(1, "c@x.org")
		var names []string
		for range maxAddresses + 1 {
			names = append(names, "many"+string(rune('a'+len(names)%26))+strings.Repeat("x", len(names)/26)+"@x.org")
		}
		huge := testpki.Must(w.ca.Issue(testpki.Leaf{Addresses: names}))
		files := []File{
			{digest("a"), []*certs.Identity{a}, []*x509.Certificate{b.Certificate}},
			{digest("huge"), []*certs.Identity{b, (*certs.Identity)(huge)}, nil},
			{digest("c"), nil, []*x509.Certificate{c.Certificate}},
			{Digest: digest("empty")},
		}
		done := got[[]ImportedFile](w)(w.Import(ctx, files...))
		if done[0] != (ImportedFile{Stored{New: 2}, nil}) || done[2] != (ImportedFile{Stored{New: 1}, nil}) {
			t.Errorf("%+v", done)
		}
		if done[1].Err == nil || done[3].Err == nil || strings.Contains(done[1].Err.Error(), "\n") {
			t.Errorf("what cannot be stored: %v, %v", done[1].Err, done[3].Err)
		}
		if n := got[int](w)(w.Count(ctx, Query{})); n != 3 {
			t.Errorf("%d in the store: a file that was refused left something", n)
		}
		again := got[[]ImportedFile](w)(w.Import(ctx, files[:1]...))
		if again[0] != (ImportedFile{Stored{Known: 2}, nil}) {
			t.Errorf("again: %+v", again)
		}
		wantImported(w, "a", 1, 1)
		wantImported(w, "c", 0, 0) // nothing is saved by remembering it
		wantImported(w, "huge", 0, 0)
		w.must(w.Remove(ctx, sha256.Sum256(a.Certificate.Raw), true))
		wantImported(w, "a", 0, 0)
		got[[]ImportedFile](w)(w.Import(ctx, files[:1]...))
		wantImported(w, "a", 1, 1)
	})
}

func wantImported(w *world, name string, identities, certificates int) {
	w.t.Helper()
	i, c, err := w.Imported(context.Background(), digest(name))
	if err != nil || i != identities || c != certificates {
		w.t.Errorf("file %s: %d identities, %d certificates, %v; want %d, %d", name, i, c, err, identities, certificates)
	}
}

func TestImportWithoutAKey(t *testing.T) {
	w := newWorld(t, "")
	cfg := w.cfg
	cfg.Key = nil
	s := w.open(cfg)
	id := w.identity(1, "a@x.org")
	done, err := s.Import(t.Context(), File{digest("a"), []*certs.Identity{id}, nil}, File{digest("b"), nil, []*x509.Certificate{id.Certificate}})
	if err != nil || done[0].Err == nil || done[1].Err != nil {
		t.Errorf("%+v, %v", done, err)
	}
}
