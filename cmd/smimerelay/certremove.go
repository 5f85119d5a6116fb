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
	Force       bool     `help:"Also remove the last key that decrypts mail to an address, and blocked certificates."`
	Fingerprint []string `arg:"" name:"sha256" help:"SHA-256 fingerprint of the certificate, or the start of it."`
}

// Help is shown below the summary.
func (certRemoveCmd) Help() string {
	return `Removes certificates and their private keys from the store. This cannot be undone; make a copy first with smimerelay cert export. Keep old keys, because they are needed to decrypt old mail: without --force, the last key that decrypts mail to an address is not removed. A certificate is blocked only as long as it is in the store.`
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
		return negative(fmt.Errorf("%s: not removed: %w; import its replacement first, or use --force if that mail need not be decrypted", name(e.Certificate), store.ErrLastKey))
	case errors.Is(err, store.ErrBlocked):
		return negative(fmt.Errorf("%s: not removed: %w; use --force to remove it anyway", name(e.Certificate), store.ErrBlocked))
	case errors.Is(err, store.ErrNotFound):
		return negative(fmt.Errorf("%s: already removed by another process", name(e.Certificate)))
	}
	return err
}
