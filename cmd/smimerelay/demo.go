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
