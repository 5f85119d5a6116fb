package certs_test

import (
	"slices"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
)

// TestByAge: of two certificates that began in the same second the one that lasts longer signs,
// and of two that are alike always the same, in whatever order they were read.
func TestByAge(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	start := time.Now().Add(-time.Hour).Truncate(time.Second)
	issue := func(end time.Duration) *certs.Identity {
		id := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"alice@example.org"}, Key: "p256", NotBefore: start, NotAfter: start.Add(end)}))
		return &certs.Identity{Certificate: id.Certificate, Key: id.Key}
	}
	const year = 365 * 24 * time.Hour
	short, long, alike := issue(year), issue(2*year), issue(2*year)
	best := long
	if certs.Newer(alike.Certificate, long.Certificate) {
		best = alike
	}
	alice := testpki.Must(address.Parse("alice@example.org"))
	for _, ids := range [][]*certs.Identity{{short, long, alike}, {alike, long, short}, {long, short, alike}} {
		keys := certs.NewKeys(nil, ids...)
		for name, find := range map[string]func() (*certs.Identity, error){
			"signs":      func() (*certs.Identity, error) { return keys.Signing(t.Context(), alice) },
			"is read by": func() (*certs.Identity, error) { return keys.ForReplies(t.Context(), alice) },
			"joined": func() (*certs.Identity, error) {
				return certs.Join(certs.NewKeys(nil, ids[0]), certs.NewKeys(nil, ids[1:]...)).Signing(t.Context(), alice)
			},
		} {
			if got := testpki.Must(find()); !got.Certificate.Equal(best.Certificate) {
				t.Errorf("%d %s: another one", slices.Index(ids, best), name)
			}
		}
	}
}
