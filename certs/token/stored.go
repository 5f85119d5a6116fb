package token

import (
	"context"
	"crypto"
	"errors"
	"fmt"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// Find returns the key that one of tokens holds. An error wraps cms.ErrDevice: a token that is
// away, or that no longer holds the key, may come back, and nothing is decided without it.
func Find(key *certs.TokenKey, tokens ...*Keys) (crypto.Signer, error) {
	var away error
	for _, t := range tokens {
		found, err := t.key(key.Public())
		if err == nil {
			return found, nil
		}
		if !errors.Is(err, errNoKey) {
			away = errors.Join(away, err)
		}
	}
	if away == nil {
		away = fmt.Errorf("%w: no token of identities.tokens holds the key, which was made in %q", cms.ErrDevice, key.Token)
	}
	return nil, away
}

// stored are identities in a store, whose keys may be in tokens.
type stored struct {
	certs.Keys
	tokens []*Keys
}

// InTokens returns keys in which each certs.TokenKey is replaced by the key itself, but for
// ForReplies, of which the certificate alone is used.
func InTokens(keys certs.Keys, tokens ...*Keys) certs.Keys { return stored{keys, tokens} }

// Signing implements certs.Keys.
func (s stored) Signing(ctx context.Context, a address.Address) (*certs.Identity, error) {
	id, err := s.Keys.Signing(ctx, a)
	if err != nil || id == nil {
		return nil, err
	}
	return s.usable(id)
}

// Decryption implements certs.Keys.
func (s stored) Decryption(ctx context.Context, rid cms.ID) ([]*certs.Identity, error) {
	found, err := s.Keys.Decryption(ctx, rid)
	if err != nil {
		return nil, err
	}
	all := make([]*certs.Identity, len(found))
	for i, id := range found {
		if all[i], err = s.usable(id); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// usable puts the key itself in the place of one that is only named.
func (s stored) usable(id *certs.Identity) (*certs.Identity, error) {
	named, ok := id.Key.(*certs.TokenKey)
	if !ok {
		return id, nil
	}
	key, err := Find(named, s.tokens...)
	if err != nil {
		return nil, err
	}
	other := *id
	other.Key = key
	return &other, nil
}
