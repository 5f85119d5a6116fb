package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"runtime"

	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/certs/intake"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/config"
)

type certImportCmd struct {
	storeFlags
	PasswordFile string   `placeholder:"FILE" help:"File with the password of files that have no NAME.password next to them; it must not be readable by others."`
	Force        bool     `help:"Also import private keys with an empty or short password."`
	JSON         bool     `name:"json" help:"Print one JSON object per file, as soon as its contents are stored."`
	Paths        []string `arg:"" name:"path" help:"Files, or folders that are read recursively."`
}

// Help is shown below the summary.
func (certImportCmd) Help() string {
	return `Identities are read from PKCS #12 (.p12, .pfx) or from PEM with PKCS #8, encrypted or not; a file may contain several keys, each with its certificate and chain. Certificates are read from PEM, DER, .p7b or .sst. The format is detected from the contents; in a folder, only files that end in .p12, .pfx, .pem, .crt, .cer, .der, .p7b, .p7c or .sst are read. A file is stored completely or not at all. A file with a private key must not be readable by others, and its password must have at least 8 characters.

A file is reported when it is on stable storage, and below it each certificate for a mailbox: address, verdict (usable, or why not) and expiry date. An interrupted import can be repeated: files that were already imported are skipped without decrypting them again.

Exit status: 0 everything is in the store, 1 some files were rejected, 2 usage error, 78 bad configuration.`
}

func (certImportCmd) examples() string {
	return `smimerelay cert import --password-file p12.password alice.p12 bob.pem
		smimerelay cert import --json /root/identities /root/partners
		smimerelay cert import --store ./store.db --key ./store.key carol.p12`
}

// Run imports files and folders.
func (c *certImportCmd) Run(a *app) error {
	files, err := filesBelow(c.Paths)
	if err != nil {
		return err
	}
	password := ""
	if c.PasswordFile != "" {
		if password, _, err = file.ReadSecret(c.PasswordFile); err != nil {
			return unusable(fmt.Errorf("--password-file: %w", err))
		}
	}
	return c.withStore(a, fillStore, func(ctx context.Context, s *store.Store, _ *config.Config) error {
		j, done, err := c.judgeFor(ctx, a, s)
		if err != nil {
			return err
		}
		p := c.printer(a, len(files), func(cert *x509.Certificate) string { return j.word(ctx, cert, nil) })
		sum, err := intake.Run(ctx, intake.Config{
			Store: s, Password: password, Force: c.Force, Workers: runtime.GOMAXPROCS(0),
		}, files, p.outcome)
		if err == nil {
			err = p.end(sum)
		}
		if err = errors.Join(err, done()); err == nil && sum.Refused > 0 {
			return &statusError{status: exitNegative}
		}
		return err
	})
}

// filesBelow returns the files of all paths.
func filesBelow(paths []string) ([]string, error) {
	var all []string
	for _, path := range paths {
		found, err := file.Files(path)
		if err != nil {
			return nil, unusable(fmt.Errorf("PATH: %w; check the path and which user you are", err))
		}
		all = append(all, found...)
	}
	if len(all) == 0 {
		return nil, unusable(errors.New("PATH: no identity or certificate files found; their names end in .p12, .pfx, .pem, .crt, .cer, .der, .p7b, .p7c or .sst"))
	}
	return all, nil
}

// importPrinter shows an import.
type importPrinter interface {
	outcome(intake.Outcome) error
	end(intake.Summary) error
}

func (c *certImportCmd) printer(a *app, files int, verdict func(*x509.Certificate) string) importPrinter {
	switch {
	case c.JSON:
		return jsonImport{a.encoder()}
	case isTerminal(a.stdout):
		return &barImport{lineImport: lineImport{a.stdout, verdict}, bar: newBar(a.stdout, files, a.clock)}
	}
	return lineImport{a.stdout, verdict}
}
