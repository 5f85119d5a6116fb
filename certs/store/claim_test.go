package store

import (
	"context"
	"crypto/sha256"
	"testing"
	"time"
)

// TestClaimOutlivesItsCaller: whose caller is gone knows all the same what it has claimed.
func TestClaimOutlivesItsCaller(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.must(w.PutOrders(t.Context(), OrderLimits{}, newOrder("aa01", w.identity(1, "alice@example.com"))))
		o := got[[]Order](w)(w.Orders(t.Context(), OrderQuery{}))[0]
		gone, end := context.WithCancel(t.Context())
		end()
		if !got[bool](w)(w.ClaimOrder(gone, &o, now.Add(time.Minute))) {
			t.Error("the order is not claimed")
		}
		c := Challenge{Order: "aa01", ID: "https://ca.example/1", Token: "one", ReplyTo: addr("reply@ca.example")}
		w.must(func() error { _, err := w.PutChallenge(t.Context(), &c); return err }())
		due := got[[]Challenge](w)(w.DueChallenges(t.Context(), now))
		if len(due) != 1 || !got[bool](w)(w.ClaimChallenge(gone, &due[0], now.Add(time.Minute))) {
			t.Error("the challenge is not claimed")
		}
		if !got[bool](w)(w.Warned(gone, sha256.Sum256([]byte("a")), time.Hour)) {
			t.Error("the warning is not noted")
		}
	})
}
