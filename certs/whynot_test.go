package certs

import (
	"context"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
)

func TestWhyNot(t *testing.T) {
	begin := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	id := (*Identity)(testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"a@example.com"}, NotBefore: begin, NotAfter: begin.Add(48 * time.Hour)})))
	for _, tt := range []struct {
		at   time.Duration
		who  string
		want string
	}{
		{time.Hour, "a@example.com", ""},
		{-time.Hour, "a@example.com", "not valid before 2026-03-01"},
		{50 * time.Hour, "a@example.com", "expired 2026-03-03"},
		{50 * time.Hour, "b@example.com", ""},
	} {
		clock := func() time.Time { return begin.Add(tt.at) }
		keys := WithOverlap(Join(NewKeys(clock), NewKeys(clock, id)), time.Hour, clock)
		if got := keys.WhyNot(context.Background(), testpki.Must(address.Parse(tt.who))); got != tt.want {
			t.Errorf("%s after %s: %q, want %q", tt.who, tt.at, got, tt.want)
		}
	}
}
