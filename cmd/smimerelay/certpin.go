package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/config"
)

type certPinCmd struct {
	pinFlags
	Fingerprint string `arg:"" name:"sha256" help:"SHA-256 fingerprint of the identity, or the start of it."`
}

// Help is shown below the summary.
func (certPinCmd) Help() string {
	return `If an address has several identities, the one whose validity began last is used to sign. A pinned identity is used instead, as long as it is valid. Pinning an identity unpins the others with the same address. All identities are used to decrypt.`
}

func (certPinCmd) examples() string { return `smimerelay cert pin 3f2a91c07d` }

// Run pins.
func (c *certPinCmd) Run(a *app) error { return c.pin(a, c.Fingerprint, true) }

type certUnpinCmd struct {
	pinFlags
	Fingerprint string `arg:"" name:"sha256" help:"SHA-256 fingerprint of the identity, or the start of it."`
}

func (certUnpinCmd) examples() string { return `smimerelay cert unpin 3f2a91c07d` }

// Run unpins.
func (c *certUnpinCmd) Run(a *app) error { return c.pin(a, c.Fingerprint, false) }

// pinFlags are common to both.
type pinFlags struct {
	storeFlags
	doneFlags
}

func (f *pinFlags) pin(a *app, text string, pinned bool) error {
	return f.withStore(a, readStore, func(ctx context.Context, s *store.Store, _ *config.Config) error {
		e, err := pick(ctx, s, text)
		if err != nil {
			return err
		}
		err = s.Pin(ctx, e.Fingerprint, pinned)
		if errors.Is(err, store.ErrNoKey) {
			return negative(fmt.Errorf("%s: %w; only an identity can be pinned", name(e.Certificate), store.ErrNoKey))
		}
		if err != nil {
			return err
		}
		if !pinned {
			return f.report(a, e, done{Done: "unpinned"}, "not pinned")
		}
		return f.report(a, e, done{Done: "pinned"}, "pinned")
	})
}
