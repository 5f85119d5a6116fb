package service

import (
	"context"
	"errors"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// defaultStoreTimeout bounds one question for identities: a database that is silent
// would else hold every message for as long as the work on it may take.
const defaultStoreTimeout = 5 * time.Second

// timedKeys are the Keys of a store that may be silent: they do not wait for ever,
// and not at all while it is known to be.
type timedKeys struct {
	certs.Keys
	store *sharedStore
}

var errStoreSilent = errors.New("certificate store unavailable")

// askStore asks the keys of the store, if it is available.
func askStore[T any](ctx context.Context, k timedKeys, ask func(context.Context) (T, error)) (T, error) {
	if k.store.silent.Load() {
		var none T
		return none, errStoreSilent
	}
	ctx, cancel := context.WithTimeout(ctx, k.store.timeout)
	defer cancel()
	return ask(ctx)
}

// Signing implements certs.Keys.
func (k timedKeys) Signing(ctx context.Context, addr address.Address) (*certs.Identity, error) {
	return askStore(ctx, k, func(ctx context.Context) (*certs.Identity, error) { return k.Keys.Signing(ctx, addr) })
}

// Decryption implements certs.Keys.
func (k timedKeys) Decryption(ctx context.Context, rid cms.ID) ([]*certs.Identity, error) {
	return askStore(ctx, k, func(ctx context.Context) ([]*certs.Identity, error) { return k.Keys.Decryption(ctx, rid) })
}

// ForReplies implements certs.Keys.
func (k timedKeys) ForReplies(ctx context.Context, addr address.Address) (*certs.Identity, error) {
	return askStore(ctx, k, func(ctx context.Context) (*certs.Identity, error) { return k.Keys.ForReplies(ctx, addr) })
}

// WhyNot implements certs.Keys. An unavailable store has no reason.
func (k timedKeys) WhyNot(ctx context.Context, addr address.Address) string {
	why, _ := askStore(ctx, k, func(ctx context.Context) (string, error) { return k.Keys.WhyNot(ctx, addr), nil })
	return why
}
