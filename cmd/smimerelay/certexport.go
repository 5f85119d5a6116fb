package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/smime/address"
)

type certExportCmd struct {
	storeFlags
	doneFlags
	Format       string `enum:"p12,p12-legacy,pem,der,p7b" default:"pem" placeholder:"NAME" help:"Output format: p12 (AES-256), p12-legacy (Triple DES, for old programs), pem, der or p7b."`
	PrivateKey   bool   `help:"Export the private key as well (p12, p12-legacy or pem)."`
	PasswordFile string `placeholder:"FILE" help:"File with the password that protects the exported private key; it must not be readable by others."`
	Output       string `short:"o" placeholder:"FILE" help:"Output file, readable only by you (default: standard output, which is not permitted for private keys)."`
	Force        bool   `help:"Overwrite an existing file, and accept an empty or short password."`
	What         string `arg:"" name:"certificate" help:"SHA-256 fingerprint of a certificate in the store, or the start of it; or an address."`
}

// Help is shown below the summary.
func (certExportCmd) Help() string {
	return `A certificate is exported with its stored chain, except as der. An address selects all certificates that name it, for pem and p7b; if a format can hold only one and there are several, they are listed. A private key is exported only with --private-key and a password file. With --force and an empty password file it is not encrypted; only the file mode 0600 protects it then.

Exit status: 0 written, 1 no such certificate or key, 2 usage error, 78 bad configuration.`
}

func (certExportCmd) examples() string {
	return `smimerelay cert export bob@example.net > bob.pem
		smimerelay cert export --format p12 --private-key --password-file new.password -o alice.p12 alice@example.org
		smimerelay cert export --format der -o carol.cer 3f2a91c07d`
}

// Run writes what was asked for.
func (c *certExportCmd) Run(a *app) error {
	password, err := c.check()
	if err != nil {
		return err
	}
	return c.withStore(a, readStore, func(ctx context.Context, s *store.Store, _ *config.Config) error {
		found, err := c.find(ctx, s)
		if err != nil {
			return err
		}
		data, err := c.encode(ctx, s, found, password)
		if err != nil {
			return err
		}
		if c.toFile() {
			if err := writePrivate(c.Output, data, c.Force); err != nil {
				return unusable(fmt.Errorf("--output: %w", err))
			}
		}
		switch {
		case c.JSON:
			return c.tell(a, found)
		case !c.toFile():
			_, err = a.stdout.Write(data)
		}
		return err
	})
}

// toFile reports whether a file is written.
func (c *certExportCmd) toFile() bool { return c.Output != "" && c.Output != "-" }

// tell prints as JSON what was written, or the certificates themselves.
func (c *certExportCmd) tell(a *app, found []store.Entry) error {
	for _, e := range found {
		d := done{Done: "exported"}
		if c.toFile() {
			d.File = c.Output
		} else {
			d.PEM = string(file.EncodeCertificates(append([]*x509.Certificate{e.Certificate}, e.Chain...)))
		}
		if err := c.report(a, e, d, "exported"); err != nil {
			return err
		}
	}
	return nil
}

// isPKCS12 reports whether the format is for keys alone.
func (c *certExportCmd) isPKCS12() bool { return c.Format == "p12" || c.Format == "p12-legacy" }

// check refuses what does not go together, and returns the password.
func (c *certExportCmd) check() (password string, err error) {
	switch {
	case !c.PrivateKey && c.isPKCS12():
		return "", unusable(fmt.Errorf("--format: %s is for private keys; add --private-key, or use pem, der or p7b", c.Format))
	case !c.PrivateKey && c.PasswordFile != "":
		return "", unusable(errors.New("--password-file: only for private keys; add --private-key, or omit it"))
	case c.JSON && !c.toFile() && c.Format != "pem" && !c.PrivateKey:
		return "", unusable(fmt.Errorf("--json: the output contains PEM; for %s, name the output file with --output", c.Format))
	case !c.PrivateKey:
		return "", nil
	case !c.isPKCS12() && c.Format != "pem":
		return "", unusable(fmt.Errorf("--format: %s cannot contain a private key; use p12, p12-legacy or pem", c.Format))
	case c.Store != "" && c.Key == "":
		return "", unusable(errors.New("--private-key: with --store, name its key file with --key"))
	case c.PasswordFile == "":
		return "", unusable(errors.New("--private-key: name a file with the new password with --password-file"))
	case !c.toFile():
		return "", unusable(errors.New("--private-key: name the output file with --output"))
	}
	if password, _, err = file.ReadSecret(c.PasswordFile); err != nil {
		return "", unusable(fmt.Errorf("--password-file: %w", err))
	}
	if err := file.CheckPassword(password); err != nil && !c.Force {
		return "", unusable(fmt.Errorf("--password-file: %w; use a longer password, or add --force", err))
	}
	return password, nil
}

// encode returns what is to be written.
func (c *certExportCmd) encode(ctx context.Context, s *store.Store, found []store.Entry, password string) ([]byte, error) {
	if c.PrivateKey {
		return c.encodeIdentity(ctx, s, found[0], password)
	}
	var list []*x509.Certificate
	for _, e := range found {
		for _, cert := range append([]*x509.Certificate{e.Certificate}, e.Chain...) {
			if !slices.ContainsFunc(list, cert.Equal) {
				list = append(list, cert)
			}
		}
	}
	switch c.Format {
	case "der":
		return list[0].Raw, nil
	case "p7b":
		return file.EncodeBundle(list)
	}
	return file.EncodeCertificates(list), nil
}

func (c *certExportCmd) encodeIdentity(ctx context.Context, s *store.Store, e store.Entry, password string) ([]byte, error) {
	if e.Token != "" {
		return nil, negative(fmt.Errorf("%s: its private key is in the token %q and cannot be exported", name(e.Certificate), e.Token))
	}
	id, err := s.Identity(ctx, e.Fingerprint)
	if errors.Is(err, store.ErrNoKey) {
		err = negative(fmt.Errorf("%s: %w", name(e.Certificate), store.ErrNoKey))
	}
	if err != nil {
		return nil, err
	}
	switch c.Format {
	case "p12":
		return file.EncodePKCS12(id, password, file.Modern)
	case "p12-legacy":
		return file.EncodePKCS12(id, password, file.Legacy)
	}
	return file.EncodePEM(id, password)
}

// find returns the entries to write: exactly one for a private key and for der.
func (c *certExportCmd) find(ctx context.Context, s *store.Store) ([]store.Entry, error) {
	addr, err := address.Parse(c.What)
	if err != nil {
		e, err := pick(ctx, s, c.What)
		return []store.Entry{e}, err
	}
	q := store.Query{Address: &addr, Chain: true}
	if c.PrivateKey {
		q.HasKey = &c.PrivateKey
	}
	found, err := s.Find(ctx, q)
	switch {
	case err != nil:
		return nil, err
	case len(found) == 0 && c.PrivateKey:
		return nil, negative(fmt.Errorf("%s: its private key is not in the store; see smimerelay cert list", addr))
	case len(found) == 0:
		return nil, negative(fmt.Errorf("%s: no certificate for this address in the store; see smimerelay cert list", addr))
	case len(found) > 1 && (c.PrivateKey || c.Format == "der"):
		return nil, unusable(severalOf(addr, found))
	}
	return found, nil
}

// maxListed is how many of several certificates an error lists.
const maxListed = 5

// severalOf asks for one of several.
func severalOf(addr address.Address, found []store.Entry) error {
	text := fmt.Sprintf("%s has %d certificates; select one by its fingerprint:", addr, len(found))
	for _, e := range found[:min(len(found), maxListed)] {
		text += fmt.Sprintf(" %x (%s to %s)", e.Fingerprint[:8], e.Certificate.NotBefore.Format("2006-01-02"), e.Certificate.NotAfter.Format("2006-01-02"))
	}
	if len(found) > maxListed {
		text += " …"
	}
	return errors.New(text)
}
