package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"golang.org/x/net/netutil"

	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/console"
	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/console/api"
	"github.com/smimerelay/smimerelay/console/openid"
	"github.com/smimerelay/smimerelay/internal/config"
)

// ConsolePlace is where the accounts of the console are: in the database of the store, if
// it has one, and else in a file of their own.
func ConsolePlace(c *config.Config, clock func() time.Time, log *slog.Logger) (access.Config, error) {
	a := access.Config{Lifetime: c.Console.Lifetime, Idle: c.Console.Idle, Clock: clock, Log: log}
	if !c.Store.Shared() {
		path := c.Console.Path
		if path == "" {
			path = filepath.Join(filepath.Dir(c.Store.URL), "console.db")
		}
		a.Path = config.Place(path)
		return a, nil
	}
	password, err := store.ReadPassword(c.Store.PasswordFile)
	if err != nil {
		return a, fmt.Errorf("store.password_file: %w", err)
	}
	a.URL, a.Password = config.Place(c.Store.URL), password
	return a, nil
}

// The listener of the console. A name with brackets is that of no other.
const (
	consoleName     = "[console]"
	consoleProtocol = "console"
)

// consoleParts are what the console has open.
type consoleParts struct {
	access *access.Store
	past   *openHistory
}

func (c *consoleParts) close() error {
	if c == nil {
		return nil
	}
	return errors.Join(c.past.close(), c.access.Close())
}

// openConsole opens the accounts where a configuration has a console.
func (s *Service) openConsole(ctx context.Context, c *config.Config) error {
	if s.console != nil || c.Console.Address == "" {
		return nil
	}
	place, err := ConsolePlace(c, s.options.Clock, s.log)
	if err != nil {
		return err
	}
	opened, err := access.Open(ctx, place)
	if err != nil {
		return err
	}
	s.console = &consoleParts{access: opened, past: &openHistory{}}
	return nil
}

// maxConsoleConnections bounds those of browsers and programs.
const maxConsoleConnections = 200

// newConsole makes the server of the console.
func (s *Service) newConsole(spec listenerSpec) server {
	operations := api.New(api.Operations{
		Gateway: consoleGateway{s, s.console.past}, Access: s.console.access, Version: s.options.Version, Clock: s.options.Clock, Log: s.log,
	})
	handler := console.New(console.Config{
		Operations: operations, Access: s.console.access, TLS: spec.tls != tlsOff, Secure: spec.secure, ClientHeader: spec.clientHeader, Hostname: spec.hostname, Clock: s.options.Clock, Log: s.log,
		OpenID: s.openID,
	})
	web := &consoleServer{http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: 2 * time.Minute,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}}
	if spec.tls != tlsOff {
		web.TLSConfig = s.tlsConfig(spec)
	}
	return web
}

// openID makes the provider by which people sign in.
func (b *builder) openID() {
	o := b.config.OpenID
	if o.Issuer == "" || b.isKnown("openid.") {
		return
	}
	var err error
	b.parts.OpenID, err = openid.New(openid.Config{
		Issuer: o.Issuer, ClientID: o.ClientID, SecretFile: o.SecretFile, CA: o.CA, Redirect: b.config.Console.Root() + config.OpenIDPath,
		Scopes: o.Scopes, NameClaim: o.NameClaim, RoleClaim: o.RoleClaim, Clock: b.clock,
		Roles: map[access.Role][]string{access.Viewer: o.Viewer, access.Operator: o.Operator, access.Administrator: o.Administrator},
	})
	if err != nil {
		b.complain("openid", err.Error(), "check the files that [openid] names")
	}
}

// openID is the provider of the configuration in use.
func (s *Service) openID() *openid.Provider {
	p, release := s.use()
	defer release()
	return p.OpenID
}

// consoleServer speaks HTTPS where it has a certificate.
type consoleServer struct{ http.Server }

// Serve implements server.
func (c *consoleServer) Serve(l net.Listener) error {
	l = netutil.LimitListener(l, maxConsoleConnections)
	if c.TLSConfig != nil {
		return c.ServeTLS(l, "", "")
	}
	return c.Server.Serve(l)
}

// ConsoleLink is the address at which a browser signs in by the secret of a link.
func ConsoleLink(c *config.Config, secret string) string {
	return c.Console.Root() + "/sign-in/link?secret=" + secret
}
