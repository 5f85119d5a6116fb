package store

import (
	"context"
	"testing"
	"time"
)

// TestInvitations: a secret is for one address and one key, until it expires.
func TestInvitations(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		one, two := [32]byte{1}, [32]byte{2}
		w.must(w.PutInvitation(ctx, "s1", addr("Alice@example.com"), now.Add(time.Hour)))
		w.must(w.PutInvitation(ctx, "s2", addr("bob@example.com"), now.Add(time.Hour)))
		redeem := func(secret, who string, key [32]byte) bool {
			return got[bool](w)(w.RedeemInvitation(ctx, secret, addr(who), key))
		}
		if redeem("s1", "bob@example.com", one) || redeem("", "alice@example.com", one) || redeem("s3", "alice@example.com", one) {
			t.Error("redeemed with a wrong secret or address")
		}
		for range 2 {
			if !redeem("s1", "alice@example.com", one) {
				t.Error("not redeemed")
			}
		}
		if redeem("s1", "alice@example.com", two) {
			t.Error("redeemed for two keys")
		}
		w.at = now.Add(time.Hour)
		if redeem("s2", "bob@example.com", one) {
			t.Error("redeemed after it expired")
		}
		var n int
		w.must(w.read.QueryRowContext(ctx, `SELECT COUNT(*) FROM store_invitation WHERE digest = 's1'`).Scan(&n))
		if n != 0 {
			t.Error("the secret is stored")
		}
	})
}
