package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/smimerelay/smimerelay/certs/ca"
)

type caCRLCmd struct {
	authorityFlags
	Root         string `placeholder:"FILE" help:"Also create the CRL of the root, with the root key in FILE (PKCS #12 or PEM)."`
	PasswordFile string `placeholder:"FILE" help:"File with the password of the --root file."`
	JSON         bool   `name:"json" help:"Print the CAs and their CRLs as JSON."`
}

// Help is shown below the summary.
func (caCRLCmd) Help() string {
	return `A running gateway creates new CRLs in time, also for the root if its key is in the store. If the root key is kept elsewhere, --root reads it once and creates a CRL that is valid for one year; the key is not stored.`
}

func (caCRLCmd) examples() string {
	return `smimerelay ca crl
		smimerelay ca crl --root /media/usb/root.p12 --password-file root.password`
}

// Run makes the lists whose keys are at hand.
func (c *caCRLCmd) Run(a *app) error {
	return c.with(a, func(ctx context.Context, o *authorities) error {
		for _, h := range o.All() {
			if h.Authority == nil {
				continue
			}
			if _, err := h.Authority.CRL(ctx); err != nil {
				return err
			}
		}
		if c.Root != "" {
			if err := c.rootList(ctx, o); err != nil {
				return err
			}
		}
		return errors.Join(o.print(ctx, a, c.JSON), o.publish(ctx, a))
	})
}

func (c *caCRLCmd) rootList(ctx context.Context, o *authorities) error {
	id, err := o.readRoot(c.Root, c.PasswordFile)
	if err != nil {
		return err
	}
	root, err := o.With(ca.Root, id)
	if err != nil {
		return unusable(fmt.Errorf("--root: %w", err))
	}
	_, err = root.CRL(ctx)
	return err
}
