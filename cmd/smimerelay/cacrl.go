package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/smimerelay/smimerelay/certs/ca"
)

type caCRLCmd struct {
	authorityFlags
	Root         string `placeholder:"FILE" help:"Make the list of the root too, with its key in FILE: PKCS #12 or PEM."`
	PasswordFile string `placeholder:"FILE" help:"File with the password of the file of --root."`
	JSON         bool   `name:"json" help:"Print the authorities with their lists as JSON."`
}

// Help is shown below the summary.
func (caCRLCmd) Help() string {
	return `A running gateway makes new lists in time by itself, of the root too where its key is in the store. With --root the key of a root that is kept elsewhere makes its list, good for a year; it is read, and not kept.`
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
