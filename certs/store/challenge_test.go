package store

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// TestChallenges: each message of a challenge counts once, one process at a time answers it,
// and once it was answered it is not answered again.
func TestChallenges(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		o := newOrder("aa01", w.identity(1, "alice@example.com"))
		w.must(w.PutOrders(ctx, OrderLimits{}, o))
		c := Challenge{Order: "aa01", ID: "https://ca.example/1", Token: "one", ReplyTo: addr("reply@ca.example"), MessageID: "<1@ca.example>"}
		if !got[bool](w)(w.PutChallenge(ctx, &c)) || got[bool](w)(w.PutChallenge(ctx, &c)) {
			t.Error("it does not count once")
		}
		if due := got[[]Challenge](w)(w.DueChallenges(ctx, now)); len(due) != 0 {
			t.Error("answered before the request was sent")
		}
		orders := got[[]Order](w)(w.Orders(ctx, OrderQuery{}))
		if !got[bool](w)(w.ClaimOrder(ctx, &orders[0], now.Add(time.Hour))) {
			t.Fatal("not claimed")
		}
		due := got[[]Challenge](w)(w.DueChallenges(ctx, now))
		if len(due) != 1 || due[0].Token != "one" || due[0].ReplyTo != c.ReplyTo || due[0].MessageID != c.MessageID || !due[0].RepliedAt.IsZero() {
			t.Fatalf("%+v", due)
		}
		if !got[bool](w)(w.ClaimChallenge(ctx, &due[0], now.Add(time.Minute))) || got[bool](w)(w.ClaimChallenge(ctx, &due[0], now.Add(time.Minute))) {
			t.Error("not claimed by one")
		}
		if again := got[[]Challenge](w)(w.DueChallenges(ctx, now)); len(again) != 0 {
			t.Error("due though it was claimed")
		}
		orders[0].Attempts, orders[0].NextAt = 0, now.Add(time.Hour)
		w.must(w.NoteOrder(ctx, &orders[0]))
		w.must(w.ChallengeAnswered(ctx, &c))
		if o := got[[]Order](w)(w.Orders(ctx, OrderQuery{}))[0]; !o.NextAt.Equal(now) {
			t.Errorf("due at %v", o.NextAt)
		}
		w.at = now.Add(time.Hour)
		if again := got[[]Challenge](w)(w.DueChallenges(ctx, w.at)); len(again) != 0 {
			t.Error("due though it was answered")
		}
		found := got[[]Challenge](w)(w.Challenges(ctx, "aa01", c.ID))
		if len(found) != 1 || found[0].RepliedAt.IsZero() || len(got[[]Challenge](w)(w.Challenges(ctx, "aa01", "other"))) != 0 {
			t.Errorf("%+v", found)
		}
		for n := range maxChallenges {
			more := c
			more.Token = fmt.Sprint("more ", n)
			if got[bool](w)(w.PutChallenge(ctx, &more)) != (n < maxChallenges-1) {
				t.Errorf("message %d", n+2)
			}
		}
		w.must(w.CancelOrders(ctx, o.Bundle))
		other := Challenge{Order: "bb01", ID: c.ID, Token: "x", ReplyTo: c.ReplyTo}
		if !got[bool](w)(w.PutChallenge(ctx, &other)) || len(got[[]Challenge](w)(w.Challenges(ctx, "aa01", c.ID))) != 0 {
			t.Error("that of an order that is over stays")
		}
	})
}
