package service

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/observe"
	"github.com/smimerelay/smimerelay/relay/gateway"
	"github.com/smimerelay/smimerelay/relay/milter"
	"github.com/smimerelay/smimerelay/relay/smtpd"
	"github.com/smimerelay/smimerelay/smime/address"
)

// listener is a socket with the server behind it.
type listener struct {
	spec     listenerSpec
	socket   *socket
	listener net.Listener // the server's own share of the socket
	server   server
	shutting atomic.Bool
}

// listenerSpec is everything that a listener can not change while it serves: two listeners
// of one spec are the same. Networks have blanks between them.
type listenerSpec struct {
	name, protocol, address, mode string
	hostname, contact             string
	postmaster                    address.Address
	allowRouted                   bool
	forwarders, xclient, proxies  string
	tls                           string // "off" without a certificate
	auth                          string
	queue                         bool // it needs one
	secure                        bool // browsers come by HTTPS
	clientHeader                  string
	limits                        config.Limits
}

const (
	// adminProtocol is the protocol of the listener for metrics and health.
	adminProtocol = "http"
	// adminTime bounds one request there, and how long a connection waits for the next.
	adminTime = time.Minute
)

// server is what the adapters, and an HTTP server, have in common.
type server interface {
	Serve(net.Listener) error
	Shutdown(context.Context) error
}

// specs returns the listeners that parts ask for.
func specs(p *Parts) []listenerSpec {
	limits := p.Config.Limits
	limits.ShutdownTimeout, limits.MemoryLimit, limits.MessageMemory = 0, 0, 0 // not the listeners' business
	var list []listenerSpec
	for _, l := range p.Config.Listeners {
		mode := l.TLS
		if l.TLSCert == "" {
			mode = tlsOff
		}
		list = append(list, listenerSpec{
			name: l.Name, protocol: l.Protocol, address: l.Address, mode: l.SocketMode,
			hostname: p.Gateway.Hostname, contact: p.Gateway.Contact, postmaster: p.Gateway.Postmaster, allowRouted: p.Config.Routed,
			forwarders: strings.Join(l.XForward, " "), xclient: strings.Join(l.XClient, " "), proxies: strings.Join(l.Proxy, " "),
			tls: mode, auth: l.Auth, queue: needsQueue(p.Config), limits: limitsOf(limits, l),
		})
	}
	if a := p.Config.Admin; a.Address != "" {
		list = append(list, listenerSpec{name: "admin", protocol: adminProtocol, address: a.Address, mode: a.SocketMode})
	}
	if c := p.Config.Console; c.Address != "" {
		mode := tlsOff
		if c.TLSCert != "" {
			mode = "implicit"
		}
		list = append(list, listenerSpec{
			name: consoleName, protocol: consoleProtocol, address: c.Address, mode: c.SocketMode, tls: mode, hostname: p.Gateway.Hostname,
			secure: c.Secure(), clientHeader: c.Client,
		})
	}
	list = append(list, publishSpecs(p.Config)...)
	if e := p.Config.EST; e.Address != "" {
		list = append(list, listenerSpec{name: estListener, protocol: estProtocol, address: e.Address, mode: "0600"})
	}
	return list
}

// tlsOff is the mode of a listener without TLS.
const tlsOff = "off"

// limitsOf are the limits of a listener: its own, and where it has none those of all.
func limitsOf(all config.Limits, l config.Listener) config.Limits {
	all.Connections = cmp.Or(l.Connections, all.Connections)
	all.ConnectionsPerAddress = cmp.Or(l.ConnectionsPerAddress, all.ConnectionsPerAddress)
	all.Recipients = cmp.Or(l.Recipients, all.Recipients)
	all.MessageSize = cmp.Or(l.MessageSize, all.MessageSize)
	all.ErrorsPerConnection = cmp.Or(l.ErrorsPerConnection, all.ErrorsPerConnection)
	all.ReadTimeout = cmp.Or(l.ReadTimeout, all.ReadTimeout)
	all.Session = cmp.Or(l.Session, all.Session)
	all.MinimumRate = cmp.Or(l.MinimumRate, all.MinimumRate)
	return all
}

// newServer makes the server for a listener.
func (s *Service) newServer(spec listenerSpec) server {
	c := spec.limits
	limits := smtpd.Limits{
		MessageSize: int(c.MessageSize), Recipients: c.Recipients, Connections: c.Connections,
		Read: c.ReadTimeout, Write: c.WriteTimeout, Message: c.Receive, Process: c.Process,
		Session: c.Session, Rate: int(c.MinimumRate),
	}
	handler := timed{exchangeable: exchangeable{&s.current}, metrics: s.metrics, clock: s.options.Clock, traced: s.traced, recorder: s.recorder.Load}
	switch spec.protocol {
	case adminProtocol:
		return &http.Server{Handler: s.admin(observe.Admin(s.metrics, s.ready)), ReadTimeout: adminTime, WriteTimeout: adminTime, IdleTimeout: adminTime}
	case consoleProtocol:
		return s.newConsole(spec)
	case estProtocol:
		return s.estServer(spec)
	case publishHTTPS:
		return s.publishWeb(spec)
	case publishLDAP:
		return s.publishDirectory(spec)
	case "milter":
		return milter.NewServer(milter.Config{
			Listener: spec.name, Hostname: spec.hostname, Contact: spec.contact, AllowRouted: spec.allowRouted, Handler: handler, Meter: s.meter(spec.name, handler), Queue: s.relayQueue(),
			Limits: limits, Memory: s.memory, Log: s.log,
		})
	case "smtp":
		// By the other protocols an MTA speaks for all of its clients.
		limits.Errors, limits.PerAddress = c.ErrorsPerConnection, c.ConnectionsPerAddress
	}
	sc := smtpd.Config{
		Listener: spec.name, Hostname: spec.hostname, Contact: spec.contact, LMTP: spec.protocol == "lmtp", Handler: handler, Meter: s.meter(spec.name, handler),
		Postmaster: spec.postmaster, AllowRouted: spec.allowRouted, Forwarders: networks(strings.Fields(spec.forwarders)),
		XClient: networks(strings.Fields(spec.xclient)), Proxies: networks(strings.Fields(spec.proxies)),
		Queue: s.relayQueue(), AuthInClear: spec.auth == "always",
		Deliverer: gateway.Reporting{Deliverer: tracedHop{nextHop{listener: spec.name, service: s}}, Reporter: exchangeable{&s.current}, Log: s.log},
		Limits:    limits, Memory: s.memory, Log: s.log, Clock: s.options.Clock,
	}
	if spec.tls != tlsOff {
		sc.TLS, sc.Implicit, sc.Identify = s.tlsConfig(spec), spec.tls == "implicit", s.identify(spec)
	}
	if spec.auth == "tls" || spec.auth == "always" {
		sc.Passwords = exchangeable{&s.current}
	}
	return smtpd.NewServer(sc)
}

// meter counts what a listener does. What alert rules watch is there from the start: the first
// of its kind would be no increase to Prometheus.
func (s *Service) meter(listener string, handler timed) tally {
	for _, kind := range []fault.Kind{fault.Internal, fault.Unavailable} {
		s.metrics.Refusals.WithLabelValues(listener, kind.String())
	}
	return tally{metrics: s.metrics, direction: handler.Direction, recorder: s.recorder.Load, whole: s.whole}
}

// tlsConfig has what the parts in use say of a listener, so that a reload changes it.
func (s *Service) tlsConfig(spec listenerSpec) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			p, release := s.use()
			defer release()
			if t := p.tls[spec.name]; t != nil {
				return t.config(), nil
			}
			return nil, errNoCertificate
		},
	}
}

// identify admits client certificates as the parts in use say.
func (s *Service) identify(spec listenerSpec) func(tls.ConnectionState) string {
	return func(state tls.ConnectionState) string {
		p, release := s.use()
		defer release()
		if t := p.tls[spec.name]; t != nil {
			return t.identify(state)
		}
		return ""
	}
}

// serve serves a listener; that it ends without being stopped is a failure.
func (s *Service) serve(d *listener) {
	if err := d.server.Serve(d.listener); err != nil && !d.shutting.Load() {
		s.failed <- &listenerError{d.spec.name, err}
	}
}

// shut lets the messages in work be answered. When ctx ends first, connections
// are cut: what was not answered stays with the client.
func (s *Service) shut(ctx context.Context, d *listener) {
	d.shutting.Store(true)
	err := d.server.Shutdown(ctx)
	d.listener.Close() // a second time where the server did it
	if err != nil {
		s.log.Warn("in-flight messages aborted: shutdown timeout reached", "listener", d.spec.name, "error", err)
	}
}

// listenerError is why a listener failed.
type listenerError struct {
	name  string
	cause error
}

func (e *listenerError) Error() string { return "listener \"" + e.name + "\": " + e.cause.Error() }

func (e *listenerError) Unwrap() error { return e.cause }
