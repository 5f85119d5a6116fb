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
	Serve bool   `help:"Keep the gateway running with its console, and print a link that signs in; a day of made-up traffic is in its history."`
	Dir   string `default:"demo" placeholder:"DIR" help:"Folder for the setup: created if missing, replaced if it contains an earlier demo."`
}

// Help is shown below the summary.
func (demoCmd) Help() string {
	return `Creates a small CA, users, rules, a queue and a folder of certificates, starts this program as a gateway with them, sends messages through it over SMTP, and prints the outcome of each: message, sender, recipient, rule, outcome, what was checked. Delivered messages are kept in DIR/outbox, the CA certificate in DIR/ca.pem, and all identities in DIR/identities.

It needs no network and no privileges, and exits with 0 if every outcome is as expected, otherwise with 1.`
}

func (demoCmd) examples() string {
	return `smimerelay demo --dir ./demo
		smimerelay demo --serve`
}

// Run plays the demo with this very program as the gateway.
func (c *demoCmd) Run(a *app) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err = demo.Run(ctx, demo.Config{Dir: c.Dir, Serve: c.Serve, Program: program, Command: commandName(), Out: a.stdout, Clock: a.clock})
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
