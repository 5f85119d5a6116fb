package certs

import (
	"context"
	"slices"

	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// joined are several Keys as one.
type joined []Keys

// Join returns keys as one. Of the identities that they name for signing a pinned
// one counts before others, then the first by ByAge, whatever the order of keys.
// One that only signs is paired with the newest certificate to
// encrypt to, whichever of keys has that. All that can decrypt are found, each once. Where one of keys
// fails, so does the whole: what it holds is not known.
func Join(keys ...Keys) Keys { return joined(keys) }

// Signing implements Keys.
func (j joined) Signing(ctx context.Context, addr address.Address) (*Identity, error) {
	var found []*Identity
	for _, k := range j {
		id, err := k.Signing(ctx, addr)
		if err != nil {
			return nil, err
		}
		if id != nil {
			found = append(found, id)
		}
	}
	slices.SortStableFunc(found, byPreference)
	if len(found) == 0 {
		return nil, nil
	}
	if Decrypts(found[0].Certificate) {
		return found[0], nil
	}
	twin, err := j.ForReplies(ctx, addr)
	if err != nil {
		return nil, err
	}
	return withTwin(found[0], twin), nil
}

// Decryption implements Keys.
func (j joined) Decryption(ctx context.Context, rid cms.ID) ([]*Identity, error) {
	var all []*Identity
	for _, k := range j {
		found, err := k.Decryption(ctx, rid)
		if err != nil {
			return nil, err
		}
		for _, id := range found {
			known := slices.ContainsFunc(all, func(a *Identity) bool { return a.Certificate.Equal(id.Certificate) })
			if !known {
				all = append(all, id)
			}
		}
	}
	return all, nil
}
