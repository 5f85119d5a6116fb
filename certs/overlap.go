package certs

import (
	"context"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/smime/cms"
)

// overlapping are Keys that decrypt for a limited time past the end of their
// certificates.
type overlapping struct {
	Keys
	overlap time.Duration
	clock   func() time.Time
}

// WithOverlap returns keys that decrypt until overlap after the end of their
// certificates and not longer: a key that old is as good as removed. What is
// signed does not change, for an expired identity never signs. A nil clock is
// time.Now.
func WithOverlap(keys Keys, overlap time.Duration, clock func() time.Time) Keys {
	if clock == nil {
		clock = time.Now
	}
	return overlapping{keys, overlap, clock}
}

// Decryption implements Keys.
func (o overlapping) Decryption(ctx context.Context, rid cms.ID) ([]*Identity, error) {
	found, err := o.Keys.Decryption(ctx, rid)
	if err != nil {
		return nil, err
	}
	now := o.clock()
	return slices.DeleteFunc(slices.Clone(found), func(id *Identity) bool {
		return now.After(id.Certificate.NotAfter.Add(o.overlap))
	}), nil
}
