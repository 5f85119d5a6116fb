package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/certs/store"
)

type caRenewCmd struct {
	authorityFlags
	JSON         bool     `name:"json" help:"Print the authorities as JSON."`
	Revoke       bool     `help:"Take the one before back (ca-compromise), and with it all that it issued."`
	Key          string   `enum:"p256,p384,rsa2048,rsa3072,rsa4096" default:"rsa4096" placeholder:"KIND" help:"Key of the authority: p256, p384, rsa2048, rsa3072, rsa4096."`
	Domain       []string `placeholder:"DOMAIN" help:"Limit it to this domain; as the one before when absent. Repeatable."`
	Root         string   `placeholder:"FILE" help:"The root's key, where it is not in the store: PKCS #12 or PEM."`
	PasswordFile string   `placeholder:"FILE" help:"File with the password of the file of --root."`
}

// Help is shown below the summary.
func (caRenewCmd) Help() string {
	return `For an issuing authority that ends in a year or two, or was in the hands of a thief (--revoke). Partners trust the root and need do nothing. The new one publishes under names of its own, such as issuing-2.crl; the one before goes on to publish its list. Identities that it issued are followed by new ones when a rule with issue = true signs with them next: at once after --revoke, else before their end; for others run cert issue.`
}

func (caRenewCmd) examples() string {
	return `smimerelay ca renew
		smimerelay ca renew --revoke --root /media/usb/root.p12 --password-file root.password`
}

// Run makes the authority.
func (c *caRenewCmd) Run(a *app) error {
	return c.with(a, func(ctx context.Context, o *authorities) error {
		root, err := c.root(o)
		if err != nil {
			return err
		}
		before := o.Issuing.Config.Certificate
		if err := c.renew(ctx, a, o, root); err != nil {
			return err
		}
		if c.Revoke {
			above, err := o.With(ca.Root, root)
			if err != nil {
				return unusable(err)
			}
			if _, err := above.Revoke(ctx, before, ca.CACompromise); err != nil {
				return err
			}
		}
		return c.with(a, func(ctx context.Context, o *authorities) error { return c.finish(ctx, a, o) })
	})
}

// root is the root with its key.
func (c *caRenewCmd) root(o *authorities) (*certs.Identity, error) {
	switch {
	case o.Root == nil:
		return nil, negative(errors.New("the authority was imported and its root is not ours; have its owner make another"))
	case c.Root != "":
		return o.readRoot(c.Root, c.PasswordFile)
	case o.Root.Authority == nil:
		return nil, unusable(errors.New("the root's key is not in the store; give --root with the file that ca init --root-out wrote"))
	}
	return &certs.Identity{Certificate: o.Root.Certificate, Key: o.Root.Authority.Key}, nil
}

func (c *caRenewCmd) renew(ctx context.Context, a *app, o *authorities, root *certs.Identity) error {
	domains := c.Domain
	if len(domains) == 0 {
		domains = o.Issuing.Config.Certificate.PermittedEmailAddresses
	}
	id, err := ca.CreateIssuing(ca.Plan{
		Organization: first(root.Certificate.Subject.Organization), Country: first(root.Certificate.Subject.Country),
		URL: o.config.CA.URL, Key: c.Key, Domains: domains, Generation: o.generation() + 1, Clock: a.clock,
	}, root)
	if err != nil {
		return unusable(err)
	}
	if err := o.store.Issued(ctx, id.Certificate); err != nil {
		return err
	}
	_, err = o.store.PutIdentity(ctx, store.Authority, id)
	return err
}

// generation is the latest one.
func (o *authorities) generation() int {
	latest := 1
	for _, h := range o.All() {
		latest = max(latest, ca.GenerationOf(h.Certificate))
	}
	return latest
}

// finish makes the first list of the new authority, publishes, and tells.
func (c *caRenewCmd) finish(ctx context.Context, a *app, o *authorities) error {
	if _, err := o.Issuing.CRL(ctx); err != nil {
		return err
	}
	return errors.Join(o.print(ctx, a, c.JSON), o.publish(ctx, a))
}

// readRoot reads the root's key from a file.
func (o *authorities) readRoot(file, passwordFile string) (*certs.Identity, error) {
	id, err := readAuthority("--root", file, passwordFile)
	if err != nil {
		return nil, err
	}
	if o.Root == nil || !id.Certificate.Equal(o.Root.Certificate) {
		return nil, unusable(fmt.Errorf("--root: %s is not the root of our authority; give the file that ca init --root-out wrote", name(id.Certificate)))
	}
	return id, nil
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}
