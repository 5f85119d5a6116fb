package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/service"
)

type caInitCmd struct {
	authorityFlags
	JSON         bool     `name:"json" help:"Print the CA as JSON."`
	Organization string   `placeholder:"NAME" help:"Name of your organization (default: ca.organization)."`
	Country      string   `placeholder:"XX" help:"Country, two capital letters (default: ca.country)."`
	Key          string   `enum:"p256,p384,rsa2048,rsa3072,rsa4096,ml-dsa-44,ml-dsa-65,ml-dsa-87" default:"rsa4096" placeholder:"KIND" help:"Type of the CA keys: p256, p384, rsa2048, rsa3072, rsa4096, ml-dsa-44, ml-dsa-65, ml-dsa-87."`
	Domain       []string `placeholder:"DOMAIN" help:"Add a name constraint: issue only for this domain (.example.com: its subdomains). Repeatable."`
	RootOut      string   `placeholder:"FILE" help:"Write the root key to FILE (PKCS #12) and do not store it."`
	Import       string   `placeholder:"FILE" help:"Import an existing CA with its private key (PKCS #12 or PEM)."`
	PasswordFile string   `placeholder:"FILE" help:"File with the password of the --root-out or --import file."`
}

// Help is shown below the summary.
func (caInitCmd) Help() string {
	return `Creates a root CA, which partners must trust, and an issuing CA below it. Both private keys are stored encrypted. The URL in ca.url becomes part of every certificate, so choose one that will not change; docs/ca.md explains what to publish where. With --root-out the root key is not kept on this machine. If the store is stolen, the issuing CA can then be replaced without asking partners to trust a new root. The root key is needed once a year to create the root CRL (ca crl --root).

Mail clients do not trust this CA by default: a recipient must install the root certificate first.`
}

func (caInitCmd) examples() string {
	return `smimerelay ca init --organization "Example GmbH" --country DE
		smimerelay ca init --domain example.com --root-out /media/usb/root.p12 --password-file root.password
		smimerelay ca init --import company-smime-ca.p12 --password-file ca.password`
}

// Run makes the authority, once.
func (c *caInitCmd) Run(a *app) error {
	if c.Import != "" && (c.RootOut != "" || len(c.Domain) > 0) {
		return unusable(errors.New("--import: cannot be combined with --root-out or --domain; an existing CA already has a root and its name constraints"))
	}
	password, err := c.rootPassword()
	if err != nil {
		return unusable(fmt.Errorf("--root-out: %w", err))
	}
	flags := storeFlags{Config: c.Config}
	return flags.withStore(a, fillStore, func(ctx context.Context, s *store.Store, conf *config.Config) error {
		if err := c.vacant(ctx, s, conf, a); err != nil {
			return err
		}
		if err := c.fill(ctx, s, conf, password, a); err != nil {
			return err
		}
		opened, err := service.OpenAuthorities(ctx, conf, s, a.clock)
		if err != nil {
			return err
		}
		return c.finish(ctx, a, &authorities{opened, s, conf})
	})
}

// vacant refuses where there is an authority.
func (c *caInitCmd) vacant(ctx context.Context, s *store.Store, conf *config.Config, a *app) error {
	opened, err := service.OpenAuthorities(ctx, conf, s, a.clock)
	switch {
	case err == nil:
		cert := opened.Issuing.Config.Certificate
		return negative(fmt.Errorf("there is already a CA, %s, and partners may trust it; see smimerelay ca show; to start over, remove it with smimerelay cert remove --force", name(cert)))
	case errors.Is(err, service.ErrNoAuthority):
		return nil
	}
	return unusable(err)
}

// fill puts an authority into the store.
func (c *caInitCmd) fill(ctx context.Context, s *store.Store, conf *config.Config, password string, a *app) error {
	if c.Import != "" {
		id, err := readAuthority("--import", c.Import, c.PasswordFile)
		if err != nil {
			return err
		}
		return c.imported(ctx, s, conf, id, a)
	}
	pair, err := ca.Create(ca.Plan{
		Organization: cmp.Or(c.Organization, conf.CA.Organization), Country: cmp.Or(c.Country, conf.CA.Country),
		URL: conf.CA.URL, Key: c.Key, Domains: c.Domain, Clock: a.clock,
	})
	if err != nil {
		return unusable(fmt.Errorf("%w; use the flags of ca init, or set it in [ca]", err))
	}
	// The list of a root whose key leaves must be made before.
	if err := s.Issued(ctx, pair.Issuing.Certificate); err != nil {
		return err
	}
	if err := c.rootList(ctx, s, conf, pair.Root, a); err != nil {
		return err
	}
	if c.RootOut == "" {
		_, err = s.PutIdentity(ctx, store.Authority, pair.Root, pair.Issuing)
		return err
	}
	if err := c.writeRoot(pair.Root, password); err != nil {
		return err
	}
	if _, err := s.Put(ctx, store.Authority, store.New{Certificate: pair.Root.Certificate}); err != nil {
		return err
	}
	_, err = s.PutIdentity(ctx, store.Authority, pair.Issuing)
	return err
}

func (c *caInitCmd) rootList(ctx context.Context, s *store.Store, conf *config.Config, root *certs.Identity, a *app) error {
	authority, err := service.NewAuthority(conf, s, a.clock, ca.Root, root)
	if err == nil {
		_, err = authority.CRL(ctx)
	}
	return err
}

// rootPassword reads and checks the one for --root-out before anything is made.
func (c *caInitCmd) rootPassword() (string, error) {
	if c.RootOut == "" {
		return "", nil
	}
	if _, err := os.Lstat(c.RootOut); err == nil {
		return "", fmt.Errorf("%s already exists; choose another file name", c.RootOut)
	}
	password, err := readPassword(c.PasswordFile)
	if err == nil {
		err = file.CheckPassword(password)
	}
	if err != nil {
		return "", fmt.Errorf("%w; give --password-file", err)
	}
	return password, nil
}

// writeRoot writes the root's key to a file that is not there yet.
func (c *caInitCmd) writeRoot(root *certs.Identity, password string) error {
	data, err := file.EncodePKCS12(root, password, file.Modern)
	if err != nil {
		return err
	}
	if err := writeNew(c.RootOut, data); err != nil {
		return unusable(fmt.Errorf("--root-out: %w", err))
	}
	return nil
}

// writeNew writes a private file that must not be there yet.
func writeNew(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// imported puts an authority that was made elsewhere into the store, once it is
// clear that it can issue.
func (c *caInitCmd) imported(ctx context.Context, s *store.Store, conf *config.Config, id *certs.Identity, a *app) error {
	if _, err := service.NewAuthority(conf, s, a.clock, ca.Issuing, id); err != nil {
		return unusable(fmt.Errorf("--import: %w", err))
	}
	var roots []store.New
	for _, above := range id.Chain {
		if ca.SelfIssued(above) {
			roots = append(roots, store.New{Certificate: above})
		}
	}
	if _, err := s.Put(ctx, store.Authority, roots...); err != nil {
		return err
	}
	_, err := s.PutIdentity(ctx, store.Authority, &certs.Identity{Certificate: id.Certificate, Chain: belowRoot(id.Chain), Key: id.Key})
	return err
}

func belowRoot(chain []*x509.Certificate) []*x509.Certificate {
	var list []*x509.Certificate
	for _, c := range chain {
		if !ca.SelfIssued(c) {
			list = append(list, c)
		}
	}
	return list
}

// finish makes the first list, publishes, and tells what there is to do.
func (c *caInitCmd) finish(ctx context.Context, a *app, o *authorities) error {
	if _, err := o.Issuing.CRL(ctx); err != nil {
		return err
	}
	err := o.print(ctx, a, c.JSON)
	if err == nil && !c.JSON {
		err = c.tell(a, o)
	}
	return errors.Join(err, o.publish(ctx, a))
}

// tell says what is left to do.
func (c *caInitCmd) tell(a *app, o *authorities) error {
	p := a.page()
	p.line("")
	if o.config.CA.Folder != "" {
		p.line("Serve %s with a web server at %s, or proxy %s to /ca/ of [admin].", o.config.CA.Folder, o.config.CA.URL, o.config.CA.URL)
	} else {
		p.line("Proxy %s to /ca/ of [admin], or set ca.folder and serve it with a web server.", o.config.CA.URL)
	}
	p.line("Send partners the root certificate, and its fingerprint over another channel: smimerelay ca export > root.pem")
	if c.RootOut != "" {
		p.line("Store %s and its password separately, and not on this machine; renew the root CRL before it expires: smimerelay ca crl --root FILE", c.RootOut)
	}
	return p.err
}
