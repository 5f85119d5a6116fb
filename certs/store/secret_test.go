package store

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

func TestSecretIsOneForAll(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		first := got[[]byte](w)(w.Secret(ctx, "a"))
		if len(first) != secretSize || bytes.Equal(first, make([]byte, secretSize)) {
			t.Fatalf("secret %x", first)
		}
		if again := got[[]byte](w)(w.Secret(ctx, "a")); !bytes.Equal(again, first) {
			t.Error("asked again, it is another")
		}
		if other := got[[]byte](w)(w.Secret(ctx, "b")); bytes.Equal(other, first) {
			t.Error("two names have one secret")
		}
		if w.cfg.URL == "" {
			return // each store in memory is its own
		}
		if second := got[[]byte](w)(w.open(w.cfg).Secret(ctx, "a")); !bytes.Equal(second, first) {
			t.Error("another node has another secret")
		}
		var value []byte
		w.must(w.write.QueryRowContext(ctx, `SELECT value FROM store_setting WHERE name = $1`, secretName("a")).Scan(&value))
		if bytes.Contains(value, first) {
			t.Error("it is not sealed")
		}
	})
}

// The key file comes with the first private key, and the secret may be older.
func TestSecretWithoutAKeyFile(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t, newFile(t))
	bare := w.cfg
	bare.Key = nil
	first := got[[]byte](w)(w.open(bare).Secret(ctx, "a"))
	if later := got[[]byte](w)(w.Secret(ctx, "a")); !bytes.Equal(first, later) {
		t.Error("with the key file it is another")
	}
	got[[]byte](w)(w.Secret(ctx, "sealed"))
	if s, err := w.open(bare).Secret(ctx, "sealed"); err == nil || !strings.Contains(err.Error(), "store.key_file") {
		t.Errorf("without the key file: %x, %v", s, err)
	}
}
