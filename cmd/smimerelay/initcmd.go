package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/postfix"
	"github.com/smimerelay/smimerelay/service/setup"
)

type initCmd struct {
	Config       string `default:"${config}" placeholder:"FILE" help:"Output file."`
	Answers      string `placeholder:"FILE" help:"File with answers: lines of name = value (TOML) with the names of the flags; flags come before it."`
	Postfix      string `default:"/etc/postfix" placeholder:"FOLDER" help:"The folder of main.cf and master.cf; none if there is no Postfix."`
	ApplyPostfix bool   `help:"Change main.cf and master.cf with postconf, and print how to undo it."`
	Example      bool   `help:"Print a file with every option, its default and an explanation, and do nothing else."`

	Given setup.Answers `embed:""`
}

// Help is shown below the summary.
func (initCmd) Help() string {
	return `Asks what it needs at a terminal, or takes it from flags or a file of answers. It writes the configuration, creates the store and its key so that the user of the gateway can read them, creates a CA and imports files if asked to, looks a recipient up in the directory, and prints the lines for main.cf and master.cf, or applies them. A configuration that sets anything is never overwritten.`
}

func (initCmd) examples() string {
	return `smimerelay init
		smimerelay init --domain example.com --way filter --rules sign-where-possible --public yes
		smimerelay init --answers answers.toml --apply-postfix
		smimerelay init --example | less`
}

// Run writes a configuration and what goes with it.
func (c *initCmd) Run(a *app) error {
	if c.Example {
		_, err := fmt.Fprint(a.stdout, config.Example())
		return err
	}
	if err := c.readAnswers(); err != nil {
		return err
	}
	if err := c.vacant(); err != nil {
		return err
	}
	if err := c.complete(a); err != nil {
		return err
	}
	if c.Given.PasswordFile != "" {
		absolute, err := filepath.Abs(c.Given.PasswordFile)
		if err != nil {
			return err
		}
		c.Given.PasswordFile = absolute
	}
	mta, noPostfix := c.settings()
	text, err := c.Given.Config(mta)
	if err != nil {
		return unusable(err)
	}
	if err := c.stateFolder(); err != nil {
		return err
	}
	// What was written would be in the way of the next attempt.
	if _, problems := config.Parse(c.Config, []byte(text)); len(problems) > 0 {
		p := problems[0]
		return unusable(fmt.Errorf("init: %s: %s; %s; nothing was written", p.Key, p.Text, p.Remedy))
	}
	return c.carryOut(a, text, mta, noPostfix)
}

// settings are those of the Postfix on this machine, or why they cannot be read.
func (c *initCmd) settings() (*postfix.Settings, error) {
	if c.Postfix == "none" {
		return nil, postfix.ErrNone
	}
	return postfix.Read(background(), c.Postfix)
}

// stateFolder looks for the folder of the store before anything is written: a
// configuration that was left behind would not be written over by the next attempt.
func (c *initCmd) stateFolder() error {
	info, err := os.Stat(config.Place(c.Given.State))
	if err == nil && !info.IsDir() {
		err = errors.New("not a folder")
	}
	if err != nil {
		return unusable(fmt.Errorf("init: --state %s: %w; create it, or name another folder", c.Given.State, err))
	}
	return nil
}

// vacant refuses to write over a file that sets something. The packages bring one that sets
// nothing.
func (c *initCmd) vacant() error {
	data, err := os.ReadFile(config.Place(c.Config))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return unusable(fmt.Errorf("init: %w; use --config to name a file that you may write", err))
	}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line != "" && line[0] != '#' && line[0] != '[' {
			return unusable(fmt.Errorf("init: %s already exists; remove it first, or name another file with --config", c.Config))
		}
	}
	return nil
}

// complete asks for what is missing, or says which flags would say it.
func (c *initCmd) complete(a *app) error {
	answers := &c.Given
	if missing := answers.Missing(); len(missing) == 0 {
		return nil
	} else if !isTerminal(a.stdin) {
		return unusable(fmt.Errorf("init: no terminal to ask at; give %s, or --answers FILE", strings.Join(missing, ", ")))
	}
	host, err := os.Hostname()
	if err != nil || !strings.Contains(host, ".") {
		host = ""
	}
	way := "relay"
	if c.hasPostfix() {
		way = "filter"
	}
	k := setup.Asker{In: bufio.NewReader(a.stdin), Out: a.stdout}
	if err := k.Complete(answers, host, way); err != nil {
		return unusable(err)
	}
	return nil
}

// hasPostfix reports whether there is a Postfix that leads to the gateway, or could.
func (c *initCmd) hasPostfix() bool {
	_, err := os.Stat(filepath.Join(c.Postfix, "main.cf"))
	return c.Postfix != "none" && err == nil
}
