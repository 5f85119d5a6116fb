package main

import (
	"fmt"
	"github.com/smimerelay/smimerelay/service"
)

type serveCmd struct {
	Config string `default:"${config}" placeholder:"FILE" help:"The configuration file."`
}

// Help is shown below the summary.
func (serveCmd) Help() string {
	return `Reads the configuration, opens the listeners when everything else is ready, and serves. It tells systemd when it is ready, reloading and stopping, answers its watchdog, and takes sockets from it (address = "systemd:NAME").

SIGHUP reads the configuration again. All of it is put to use, or nothing: with a problem in the file the old configuration serves on and the log says why. SIGTERM and SIGINT let the messages in work finish, for at most limits.shutdown_timeout, and end.

The log goes to standard error.`
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
