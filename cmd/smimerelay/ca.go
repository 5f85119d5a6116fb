package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/console/api"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/service"
)

type caCmd struct {
	Init   caInitCmd   `cmd:"" help:"Create the CA, or import an existing one."`
	Show   caShowCmd   `cmd:"" help:"Show the CA and what it publishes."`
	Export caExportCmd `cmd:"" help:"Print the root certificate that partners must trust."`
	Renew  caRenewCmd  `cmd:"" help:"Create a new issuing CA below the same root."`
	CRL    caCRLCmd    `cmd:"" name:"crl" help:"Create and publish new CRLs now."`
}

// authorityFlags say which authority: [ca] and [store] of a configuration.
type authorityFlags struct {
	Config string `default:"${config}" placeholder:"FILE" help:"The configuration file, with [ca] and [store]."`
}

// authorities is the store with our authorities in it.
type authorities struct {
	*service.Authorities
	store  *store.Store
	config *config.Config
}

// with opens the store and our authorities, and does something with them.
func (f *authorityFlags) with(a *app, do func(context.Context, *authorities) error) error {
	if err := f.expect(); err != nil {
		return err
	}
	flags := storeFlags{Config: f.Config}
	return flags.withStore(a, readStore, func(ctx context.Context, s *store.Store, c *config.Config) error {
		opened, err := service.OpenAuthorities(ctx, c, s, a.clock)
		if errors.Is(err, service.ErrNoAuthority) || errors.Is(err, service.ErrNoAuthorityURL) {
			return negative(err)
		}
		if err != nil {
			return unusable(err)
		}
		return do(ctx, &authorities{opened, s, c})
	})
}

// expect refuses where there can be no authority: storeFlags would speak of imports.
func (f *authorityFlags) expect() error {
	c, problems := config.Load(f.Config)
	if len(problems) > 0 {
		return problems
	}
	if c.CA.URL == "" {
		return negative(service.ErrNoAuthorityURL)
	}
	if _, err := os.Stat(c.Store.URL); errors.Is(err, fs.ErrNotExist) && !c.Store.Shared() {
		return negative(service.ErrNoAuthority)
	}
	return nil
}

// publish writes the files into the configured folder and tells which.
func (o *authorities) publish(ctx context.Context, a *app) error {
	written, err := o.WriteFiles(ctx)
	for _, path := range written {
		a.say("wrote %s", path)
	}
	if err != nil {
		return unusable(fmt.Errorf("done, but not published: %w; check the folder and which user you are; a running gateway publishes as well", err))
	}
	return nil
}

// authority writes one authority.
func (p *page) authority(s api.Authority) {
	p.line("%-8s %s", s.Name, s.Subject)
	p.line("         sha-256 %s", colons(s.SHA256))
	p.line("         valid until %s", s.NotAfter.Format(time.DateOnly))
	if s.Revoked {
		p.line("         revoked")
	}
	if !s.HasKey {
		p.line("         private key not in the store")
	}
	if len(s.Domains) > 0 {
		p.line("         only for %s", strings.Join(s.Domains, ", "))
	}
	if s.CRL != nil {
		p.line("         CRL %s of %s, valid until %s, %d revoked", s.CRL.Number, s.CRL.ThisUpdate.Format(time.RFC3339), s.CRL.NextUpdate.Format(time.RFC3339), s.CRL.Revoked)
	}
	for _, u := range s.URLs {
		p.line("         published at %s", u)
	}
}

// colons writes a fingerprint as people read it to each other.
func colons(digits string) string {
	var parts []string
	for i := 0; i+2 <= len(digits); i += 2 {
		parts = append(parts, strings.ToUpper(digits[i:i+2]))
	}
	return strings.Join(parts, ":")
}

// anchor is what partners have to trust: the root, or where none is known the
// authority itself.
func (o *authorities) anchor() *x509.Certificate {
	if o.Root != nil {
		return o.Root.Certificate
	}
	return o.Issuing.Config.Certificate
}

// readAuthority reads an authority with its key from a file.
func readAuthority(flag, name, passwordFile string) (*certs.Identity, error) {
	password, err := readPassword(passwordFile)
	if err != nil {
		return nil, err
	}
	ids, err := file.ReadIdentities(name, password)
	if err != nil {
		return nil, unusable(fmt.Errorf("%s: %w; use PKCS #12 or PEM, and --password-file if the file has a password", flag, err))
	}
	if len(ids) != 1 {
		return nil, unusable(fmt.Errorf("%s: %s contains %d identities; use a file with the CA only", flag, name, len(ids)))
	}
	return ids[0], nil
}
