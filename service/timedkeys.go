package service

import (
	"context"
	"errors"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// keysTime bounds one question for identities: a database that is silent would
// else hold every message for as long as the work on it may take.
const keysTime = 5 * time.Second

// timedKeys are the Keys of a store that may be silent: they do not wait for ever,
// and not at all while it is known to be.
type timedKeys struct {
	certs.Keys
	store *sharedStore
}

var errStoreSilent = errors.New("certificate store unavailable")

// Signing implements certs.Keys.
func (k timedKeys) Signing(ctx context.Context, addr address.Address) (*certs.Identity, error) {
	if k.store.silent.Load() {
		return nil, errStoreSilent
	}
	ctx, cancel := context.WithTimeout(ctx, keysTime)
	defer cancel()
	return k.Keys.Signing(ctx, addr)
}

// Decryption implements certs.Keys.
func (k timedKeys) Decryption(ctx context.Context, rid cms.ID) ([]*certs.Identity, error) {
	if k.store.silent.Load() {
		return nil, errStoreSilent
	}
	ctx, cancel := context.WithTimeout(ctx, keysTime)
	defer cancel()
	return k.Keys.Decryption(ctx, rid)
}

// ForReplies is asked by certs.ForReplies.
func (k timedKeys) ForReplies(ctx context.Context, addr address.Address) (*certs.Identity, error) {
	if k.store.silent.Load() {
		return nil, errStoreSilent
	}
	ctx, cancel := context.WithTimeout(ctx, keysTime)
	defer cancel()
	return certs.ForReplies(ctx, k.Keys, addr)
}

// WhyNot implements certs.Excuser.
func (k timedKeys) WhyNot(ctx context.Context, addr address.Address) string {
	if k.store.silent.Load() {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, keysTime)
	defer cancel()
	return certs.WhyNot(ctx, k.Keys, addr)
}
