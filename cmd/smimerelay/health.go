package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/internal/config"
)

type healthCmd struct {
	Config string `default:"${config}" placeholder:"FILE" help:"The configuration file, which names the address of [admin]."`
}

// Help is shown below the summary.
func (healthCmd) Help() string {
	return `Asks the running gateway at admin.address whether it takes messages and can store them, as a load balancer does at /readyz. It is the health check of the container image.

Exit status: 0 ready, 1 not ready or not running, with the reason, 2 usage error or no admin.address, 78 bad configuration.`
}

func (healthCmd) examples() string { return `smimerelay health` }

// healthTimeout is how long the gateway may take to answer.
const healthTimeout = 5 * time.Second

// Run asks the gateway.
func (c *healthCmd) Run(a *app) error {
	conf, problems := config.Load(c.Config)
	if len(problems) > 0 {
		return problems
	}
	if conf.Admin.Address == "" {
		return unusable(fmt.Errorf("%s: admin.address is empty, so the gateway cannot be asked; set it to 127.0.0.1:9090 or unix:/run/smimerelay/admin", c.Config))
	}
	reason, err := askReady(config.Place(conf.Admin.Address))
	if err != nil {
		return negative(fmt.Errorf("health: %w; see whether the gateway is running", err))
	}
	if reason != "" {
		return negative(fmt.Errorf("health: not ready: %s", reason))
	}
	p := a.page()
	p.line("ready")
	return p.err
}

// askReady returns why the gateway is not ready, "" if it is.
func askReady(address string) (reason string, err error) {
	network, place := "tcp", address
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, place = "unix", path
	} else if host, port, err := net.SplitHostPort(address); err == nil && (host == "" || net.ParseIP(host).IsUnspecified()) {
		place = net.JoinHostPort("localhost", port)
	}
	client := http.Client{Timeout: healthTimeout, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, place)
		},
	}}
	request, err := http.NewRequestWithContext(background(), http.MethodGet, "http://localhost/readyz", nil)
	if err != nil {
		return "", err
	}
	r, err := client.Do(request)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(r.Body, 4096))
	if err = errors.Join(err, r.Body.Close()); err != nil || r.StatusCode == http.StatusOK {
		return "", err
	}
	return string(bytes.TrimSpace(text)), nil
}
