package main

import (
	"context"
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
	PasswordFile string   `placeholder:"FILE" help:"File with the password of all that have no NAME.password beside them; it must not be readable by others."`
	Force        bool     `help:"Take private keys under an empty or short password too."`
	JSON         bool     `name:"json" help:"Print one JSON object a file, as soon as what it holds is stored."`
	Paths        []string `arg:"" name:"path" help:"Files, or folders that are read with all below them."`
}

// Help is shown below the summary.
func (certImportCmd) Help() string {
	return `Identities are PKCS #12 (.p12, .pfx) or PEM with PKCS #8, encrypted or not, any number of keys in a file, each with its certificate and chain; certificates are PEM, DER, .p7b or .sst. What a file is shows in its contents; of a folder the files count that end in .p12, .pfx, .pem, .crt, .cer, .der, .p7b, .p7c or .sst. A file is stored whole or not at all. One with a private key must not be readable by others, nor be under a password of fewer than 8 characters.

A file is reported when it is on stable storage. An import that was broken off can be run again: files that were imported are passed over without their passwords' work.

Exit status: 0 everything is in the store, 1 files were refused, 2 the call could not be used, 78 bad configuration.`
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
		p := c.printer(a, len(files))
		sum, err := intake.Run(ctx, intake.Config{
			Store: s, Password: password, Force: c.Force, Workers: runtime.GOMAXPROCS(0),
		}, files, p.outcome)
		if err == nil {
			err = p.end(sum)
		}
		if err == nil && sum.Refused > 0 {
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
			return nil, unusable(fmt.Errorf("PATH: %w; check it and who you are", err))
		}
		all = append(all, found...)
	}
	if len(all) == 0 {
		return nil, unusable(errors.New("PATH: no file of identities or certificates there; they end in .p12, .pfx, .pem, .crt, .cer, .der, .p7b, .p7c or .sst"))
	}
	return all, nil
}

// importPrinter shows an import.
type importPrinter interface {
	outcome(intake.Outcome) error
	end(intake.Summary) error
}

func (c *certImportCmd) printer(a *app, files int) importPrinter {
	switch {
	case c.JSON:
		return jsonImport{a.encoder()}
	case isTerminal(a.stdout):
		return &barImport{lineImport: lineImport{a.stdout}, bar: newBar(a.stdout, files, a.clock)}
	}
	return lineImport{a.stdout}
}
