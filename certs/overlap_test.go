package certs

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/cms"
)

func TestOverlap(t *testing.T) {
	ctx := context.Background()
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	id := (*Identity)(testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"a@example.com"}})))
	rid := cms.ID{SubjectKeyID: id.Certificate.SubjectKeyId}
	end := id.Certificate.NotAfter
	for _, tt := range []struct {
		name string
		now  time.Time
		want int
	}{
		{"valid", end.Add(-time.Hour), 1},
		{"within the overlap", end.Add(24 * time.Hour), 1},
		{"past it", end.Add(24*time.Hour + time.Second), 0},
	} {
		clock := func() time.Time { return tt.now }
		all := NewKeys(clock, id)
		keys := WithOverlap(all, 24*time.Hour, clock)
		if found, err := keys.Decryption(ctx, rid); err != nil || len(found) != tt.want {
			t.Errorf("%s: %d decrypt, want %d: %v", tt.name, len(found), tt.want, err)
		}
		if found, err := all.Decryption(ctx, rid); err != nil || len(found) != 1 || found[0] != id {
			t.Errorf("%s: the keys themselves changed: %v, %v", tt.name, found, err)
		}
	}
	if _, err := WithOverlap(silent{}, time.Hour, nil).Decryption(ctx, rid); !errors.Is(err, errSilent) {
		t.Errorf("error %v", err)
	}
}
