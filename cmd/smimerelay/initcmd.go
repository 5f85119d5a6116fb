package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/smimerelay/smimerelay/internal/config"
)

type initCmd struct {
	Config string `default:"${config}" placeholder:"FILE" help:"Output file; - is standard output."`
}

// Help is shown below the summary.
func (initCmd) Help() string {
	return `The file lists every option with its default, commented out, except trust.public: the public authorities are trusted. An existing file is never overwritten.`
}

func (initCmd) examples() string {
	return `smimerelay init
		smimerelay init --config - | less`
}

// initial is the example with the options that a new installation sets.
func initial() string {
	return strings.Replace(config.Example(), "\n#public = \"\"\n", "\npublic = \""+config.PublicRoots+"\"\n", 1)
}

// Run writes the example, and never over a file.
func (c *initCmd) Run(a *app) error {
	if c.Config == "-" {
		_, err := fmt.Fprint(a.stdout, initial())
		return err
	}
	f, err := os.OpenFile(c.Config, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640) //nolint:gosec // G302: the group of the gateway reads it
	if errors.Is(err, fs.ErrExist) {
		return unusable(fmt.Errorf("init: %s already exists; remove it first, or name another file with --config", c.Config))
	}
	if err != nil {
		return unusable(fmt.Errorf("init: %w; use --config to name a file that you may write", err))
	}
	if _, err := f.WriteString(initial()); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	p := a.page()
	p.line("%[1]s written; edit it, then run: smimerelay check --config %[1]s", c.Config)
	return p.err
}
