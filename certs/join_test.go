package certs

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// silent are keys that can not be asked.
type silent struct{}

var errSilent = errors.New("silent")

func (silent) Signing(context.Context, address.Address) (*Identity, error) { return nil, errSilent }

func (silent) Decryption(context.Context, cms.ID) ([]*Identity, error) { return nil, errSilent }

func (silent) ForReplies(context.Context, address.Address) (*Identity, error) { return nil, errSilent }

func (silent) WhyNot(context.Context, address.Address) string { return "" }

func TestJoin(t *testing.T) {
	ctx := context.Background()
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	begin := time.Now().Add(-time.Hour).Truncate(time.Second)
	issue := func(from time.Time) *Identity {
		return (*Identity)(testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"a@example.com"}, NotBefore: from})))
	}
	old, young := issue(begin), issue(begin.Add(time.Minute))
	first, second := issue(begin), issue(begin)
	if ByAge(first.Certificate, second.Certificate) > 0 {
		first, second = second, first
	}
	pinned := *old
	pinned.Pinned = true
	a := testpki.Must(address.Parse("a@example.com"))
	for name, c := range map[string]struct {
		keys Keys
		want *Identity
	}{
		"none":                        {Join(), nil},
		"empty ones":                  {Join(NewKeys(nil), NewKeys(nil)), nil},
		"the newer":                   {Join(NewKeys(nil, old), NewKeys(nil, young)), young},
		"the newer, first":            {Join(NewKeys(nil, young), NewKeys(nil, old)), young},
		"the pinned":                  {Join(NewKeys(nil, young), NewKeys(nil, &pinned)), &pinned},
		"the pinned among its own":    {Join(NewKeys(nil, young, &pinned), NewKeys(nil, young)), &pinned},
		"of the same second":          {Join(NewKeys(nil, first), NewKeys(nil, second)), first},
		"of the same second, swapped": {Join(NewKeys(nil, second), NewKeys(nil, first)), first},
	} {
		if got, err := c.keys.Signing(ctx, a); err != nil || got != c.want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	rid := cms.ID{SubjectKeyID: old.Certificate.SubjectKeyId}
	both := Join(NewKeys(nil, old, young), NewKeys(nil, &pinned))
	if found, err := both.Decryption(ctx, rid); err != nil || len(found) != 1 || found[0] != old {
		t.Errorf("%d decrypt: %v", len(found), err)
	}
	for _, keys := range []Keys{Join(silent{}, NewKeys(nil, old)), Join(NewKeys(nil, old), silent{})} {
		if id, err := keys.Signing(ctx, a); !errors.Is(err, errSilent) || id != nil {
			t.Errorf("signs though not all is known: %v, %v", id, err)
		}
		if found, err := keys.Decryption(ctx, rid); !errors.Is(err, errSilent) {
			t.Errorf("%d decrypt: %v", len(found), err)
		}
	}
}
