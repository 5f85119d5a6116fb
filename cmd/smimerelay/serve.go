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
	return `Reads the configuration, opens the listeners when everything else is ready, and serves. It notifies systemd when it is ready, reloading and stopping, supports the systemd watchdog, and accepts sockets from systemd (address = "systemd:NAME").

SIGHUP reloads the configuration. It is applied completely or not at all: if the file has a problem, the old configuration stays in effect and the log shows the problem. SIGTERM and SIGINT stop the gateway after in-flight messages have finished, at most limits.shutdown_timeout later.

The log goes to standard error.`
}

func (serveCmd) examples() string {
	return `smimerelay serve --config /etc/smimerelay/config.toml
		kill -HUP PID    reload: if the file has a problem, the old configuration stays in effect
		kill -TERM PID   finish in-flight messages, then exit`
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
