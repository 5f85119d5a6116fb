package store

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPublished(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		a, b := []byte("a"), []byte("b")
		note := func(target, object string, done bool, gone [][]byte, values ...[]byte) {
			t.Helper()
			w.must(w.NotePublished(ctx, target, object, Written{values, done}, gone))
		}
		note("dns", "x", true, nil, a, b, a)
		note("dns", "y", true, nil, a)
		note("dns", "z", true, nil, b)
		note("other", "x", true, nil, b)
		note("dns", "x", true, [][]byte{a})
		note("dns", "y", true, [][]byte{b, a})
		note("dns", "z", false, nil, b)
		want := map[string]Written{"x": {[][]byte{b}, true}, "z": {[][]byte{b}, false}}
		if diff := cmp.Diff(want, got[map[string]Written](w)(w.Published(ctx, "dns"))); diff != "" {
			t.Error(diff)
		}
	})
}
