package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/smimerelay/smimerelay/cmd/smimerelay/demo"
)

type demoCmd struct {
	Dir string `default:"demo" placeholder:"DIR" help:"Folder for the set-up: made if it is missing, made anew if it is a demo's."`
}

// Help is shown below the summary.
func (demoCmd) Help() string {
	return `Makes a small authority, people, rules, a queue and a folder of certificates, starts this program as the gateway on them, sends messages through it over SMTP, and prints what became of each: message, sender, recipient, rule, outcome, what was checked. Delivered messages stay in DIR/outbox, with DIR/ca.pem and the identities of everybody in DIR/identities.

It needs no network and no rights, and ends by itself: 0 when every outcome is the expected one, else 1.`
}

func (demoCmd) examples() string { return `smimerelay demo --dir ./demo` }

// Run plays the demo with this very program as the gateway.
func (c *demoCmd) Run(a *app) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err = demo.Run(ctx, demo.Config{Dir: c.Dir, Program: program, Command: commandName(), Out: a.stdout, Clock: a.clock})
	if errors.Is(err, demo.ErrUnexpected) {
		return negative(fmt.Errorf("demo: %w", err))
	}
	if err != nil {
		return unusable(fmt.Errorf("demo: %w", err))
	}
	return nil
}

// commandName is how this program was called.
func commandName() string {
	if name := os.Args[0]; strings.Contains(name, "/") {
		return name
	}
	return "smimerelay"
}
