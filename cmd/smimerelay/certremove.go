package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/config"
)

type certRemoveCmd struct {
	storeFlags
	doneFlags
	Force       bool     `help:"Also the last key that decrypts mail to an address, and what is blocked."`
	Fingerprint []string `arg:"" name:"sha256" help:"SHA-256 fingerprint of the certificate, or its beginning."`
}

// Help is shown below the summary.
func (certRemoveCmd) Help() string {
	return `Takes certificates out of the store, with their private keys. There is no way back but a copy made before: smimerelay cert export. An old key is worth keeping, because it opens old mail; without --force the last one of an address that does is not removed. A blocked certificate stays blocked only as long as it is in the store.`
}

func (certRemoveCmd) examples() string {
	return `smimerelay cert remove 3f2a91c07d
		smimerelay cert remove --force 3f2a91c07d5e6b18`
}

// Run removes one after the other, and stops at the first that it can not.
func (c *certRemoveCmd) Run(a *app) error {
	return c.withStore(a, readStore, func(ctx context.Context, s *store.Store, _ *config.Config) error {
		for _, text := range c.Fingerprint {
			e, err := pick(ctx, s, text)
			if err != nil {
				return err
			}
			if err := s.Remove(ctx, e.Fingerprint, c.Force); err != nil {
				return refusedRemoval(e, err)
			}
			if err := c.report(a, e, done{Done: "removed"}, "removed"); err != nil {
				return err
			}
		}
		return nil
	})
}

// refusedRemoval says what to do about a refusal.
func refusedRemoval(e store.Entry, err error) error {
	switch {
	case errors.Is(err, store.ErrLastKey):
		return negative(fmt.Errorf("%s: not removed: %w; import its successor first, or give --force if that mail may stay closed", name(e.Certificate), store.ErrLastKey))
	case errors.Is(err, store.ErrBlocked):
		return negative(fmt.Errorf("%s: not removed: %w; give --force if it may", name(e.Certificate), store.ErrBlocked))
	case errors.Is(err, store.ErrNotFound):
		return negative(fmt.Errorf("%s: somebody else has removed it meanwhile", name(e.Certificate)))
	}
	return err
}
