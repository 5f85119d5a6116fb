package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/filesystem"
	"github.com/smimerelay/smimerelay/internal/postfix"
	"github.com/smimerelay/smimerelay/service"
	"github.com/smimerelay/smimerelay/smime/address"
)

// carryOut writes the configuration and does what follows from it. Where that fails, the
// file stays: it says what was wanted, and each step can be repeated by its own command.
func (c *initCmd) carryOut(a *app, text string, mta *postfix.Settings, noPostfix error) error {
	if err := writeConfig(c.Config, text); err != nil {
		return unusable(fmt.Errorf("init: %w; use --config to name a file that you may write", err))
	}
	p := a.page()
	p.line("%s written", c.Config)
	flags := storeFlags{Config: c.Config}
	if err := flags.withStore(a, fillStore, func(context.Context, *store.Store, *config.Config) error { return nil }); err != nil {
		return err
	}
	p.line("store and key are in %s", c.Given.State)
	if c.Given.Authority != "" && c.Given.Authority != "none" {
		authority := caInitCmd{authorityFlags: authorityFlags{Config: c.Config}, Key: "rsa4096"}
		if err := authority.Run(a); err != nil {
			return err
		}
	}
	var refused error // of files; the rest does not depend on them
	if len(c.Given.Import) > 0 {
		files := certImportCmd{storeFlags: flags, PasswordFile: c.Given.ImportSecret, Paths: c.Given.Import}
		refused = files.Run(a)
	}
	if err := c.tryDirectory(a); err != nil {
		return err
	}
	if err := c.postfix(a, mta, noPostfix); err != nil {
		return err
	}
	p.line("next: smimerelay check --config %[1]s, then systemctl enable --now smimerelay, then smimerelay doctor --config %[1]s", c.Config)
	return errors.Join(p.err, refused)
}

// writeConfig writes a configuration that the group of its folder, which is the gateway's,
// can read.
func writeConfig(path, text string) error {
	if err := os.WriteFile(path, []byte(text), 0o640); err != nil { //nolint:gosec // G306: see above
		return err
	}
	info, err := os.Stat(filepath.Dir(path))
	if err != nil || os.Geteuid() != 0 {
		return err
	}
	if _, group, ok := filesystem.Owner(info); ok {
		return os.Chown(path, 0, group)
	}
	return nil
}

// tryDirectory looks the test recipient up as the gateway would.
func (c *initCmd) tryDirectory(a *app) error {
	if c.Given.Test == "" {
		return nil
	}
	addr, err := address.Parse(c.Given.Test)
	if err != nil {
		return unusable(fmt.Errorf("--ldap-test: %w; write local@domain", err))
	}
	parts, problems := service.Load(c.Config, a.clock, slog.New(slog.DiscardHandler))
	if len(problems) > 0 {
		return problems
	}
	defer parts.Close()
	p := a.page()
	for _, answer := range parts.Directory.Probe(background(), addr) {
		p.line("directory %s: %s", answer.Source, probed(answer))
	}
	return p.err
}

func probed(a directory.Answer) string {
	if a.Err != nil {
		return fmt.Sprintf("%v; correct its [[directory]]", a.Err)
	}
	return fmt.Sprintf("answers, %d certificates", a.Found)
}

// postfix prints the lines for Postfix, or applies them.
func (c *initCmd) postfix(a *app, mta *postfix.Settings, err error) error {
	p := a.page()
	main, master := c.Given.Lines(mta)
	switch {
	case c.Postfix == "none":
		return nil
	case c.ApplyPostfix && err != nil:
		return unusable(fmt.Errorf("--apply-postfix: %w; name its folder with --postfix", err))
	case !c.ApplyPostfix || err != nil:
		p.line("\nPostfix, main.cf:\n")
		p.text(main)
		if master != "" {
			p.line("\nPostfix, master.cf:\n")
			p.text(master)
		}
		p.line("\nthen: postfix reload. smimerelay init --apply-postfix would do both with postconf.")
		return p.err
	}
	steps := mta.Plan(c.Given.Postfix(mta))
	if err := postfix.Apply(background(), c.Postfix, steps); err != nil {
		return err
	}
	p.line("main.cf and master.cf changed; now: postfix reload. To undo it:\n")
	for _, s := range slices.Backward(steps) {
		for _, undo := range s.Undo {
			p.line("  %s", postfix.Command(c.Postfix, undo))
		}
	}
	return p.err
}
