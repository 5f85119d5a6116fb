package main

import (
	"fmt"

	"github.com/smimerelay/smimerelay/cmd/smimerelay/service"
)

type serveCmd struct {
	Config string `default:"${config}" placeholder:"FILE" help:"The configuration file."`
}

func (serveCmd) examples() string {
	return `smimerelay serve --config /etc/smimerelay/config.toml
		kill -HUP PID    reload: a file with a problem leaves the old configuration serving
		kill -TERM PID   finish what is in work, then end`
}

// Run serves until SIGTERM.
func (c *serveCmd) Run(a *app) error {
	err := service.Run(background(), service.Options{
		Path: c.Config, Stderr: a.stderr, Clock: a.clock, Version: buildVersion().Version,
	})
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}
