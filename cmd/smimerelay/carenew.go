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
	JSON         bool     `name:"json" help:"Print the CAs as JSON."`
	Revoke       bool     `help:"Revoke the previous issuing CA (ca-compromise), and with it every certificate that it issued."`
	Key          string   `enum:"p256,p384,rsa2048,rsa3072,rsa4096,ml-dsa-44,ml-dsa-65,ml-dsa-87" default:"rsa4096" placeholder:"KIND" help:"Type of the CA key: p256, p384, rsa2048, rsa3072, rsa4096, ml-dsa-44, ml-dsa-65, ml-dsa-87."`
	Domain       []string `placeholder:"DOMAIN" help:"Add a name constraint for this domain (default: those of the previous CA). Repeatable."`
	Root         string   `placeholder:"FILE" help:"The root key, if it is not in the store (PKCS #12 or PEM)."`
	PasswordFile string   `placeholder:"FILE" help:"File with the password of the --root file."`
}

// Help is shown below the summary.
func (caRenewCmd) Help() string {
	return `Use it when the issuing CA expires in a year or two, or when its key was stolen (--revoke). Partners trust the root and need not do anything. The new CA publishes under its own file names, such as issuing-2.crl; the previous one continues to publish its CRL. Identities of the previous CA are renewed the next time a rule with issue = true signs with them: at once after --revoke, otherwise shortly before they expire. Renew other identities with cert issue.`
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
		return nil, negative(errors.New("the CA was imported without its root; ask the owner of the root for a new issuing CA"))
	case c.Root != "":
		return o.readRoot(c.Root, c.PasswordFile)
	case o.Root.Authority == nil:
		return nil, unusable(errors.New("the root key is not in the store; use --root with the file that ca init --root-out wrote"))
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
		return nil, unusable(fmt.Errorf("--root: %s is not the root of this CA; use the file that ca init --root-out wrote", name(id.Certificate)))
	}
	return id, nil
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}
