package service

import (
	"context"
	"crypto/tls"
	"net"
	"sync/atomic"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/relay/milter"
	"github.com/smimerelay/smimerelay/relay/smtpd"
)

// door is a listener with the server behind it.
type door struct {
	name, protocol string
	listener       net.Listener
	server         server
	shutting       atomic.Bool
}

// server is what the adapters have in common.
type server interface {
	Serve(net.Listener) error
	Shutdown(context.Context) error
}

func (d *door) closing() bool { return d.shutting.Load() }

// shut lets the messages in work be answered.
func (d *door) shut(ctx context.Context) error {
	d.shutting.Store(true)
	return d.server.Shutdown(ctx)
}

// newDoor opens a listener and makes the server for it.
func (s *Service) newDoor(ctx context.Context, inherited sockets, c *config.Config, l config.Listener) (*door, error) {
	tlsConfig, err := serverTLS(l)
	if err != nil {
		return nil, err
	}
	d := &door{name: l.Name, protocol: l.Protocol}
	if d.listener, err = inherited.listen(ctx, l.Address); err != nil {
		return nil, err
	}
	handler := metered{Handler: exchangeable{&s.current}, metrics: s.metrics, clock: s.options.Clock}
	limits := smtpd.Limits{
		MessageSize: int(c.Limits.MessageSize), Recipients: c.Limits.Recipients,
		Connections: c.Limits.Connections, PerAddress: c.Limits.PerAddress,
		Read: c.Limits.ReadTimeout, Write: c.Limits.WriteTimeout, Message: c.Limits.Receive, Process: c.Limits.Process,
	}
	if l.Protocol == "milter" {
		d.server = milter.NewServer(milter.Config{
			Listener: l.Name, Hostname: s.hostname(), Handler: handler, Queue: s.relayQueue(),
			Limits: limits, Memory: s.memory, Log: s.log,
		})
		return d, nil
	}
	lmtp := l.Protocol == "lmtp"
	if !lmtp {
		limits.Errors = c.Limits.Errors
	}
	d.server = smtpd.NewServer(smtpd.Config{
		Listener: l.Name, Hostname: s.hostname(), LMTP: lmtp, Handler: handler, Queue: s.relayQueue(),
		Deliverer: nextHop{listener: l.Name, service: s}, TLS: tlsConfig,
		Limits: limits, Memory: s.memory, Log: s.log, Clock: s.options.Clock,
	})
	return d, nil
}

func (s *Service) hostname() string {
	p, release := s.use()
	defer release()
	return p.Gateway.Hostname
}

// serverTLS returns what STARTTLS needs, nil where it is not offered.
func serverTLS(l config.Listener) (*tls.Config, error) {
	if l.TLSCert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(l.TLSCert, l.TLSKey)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}
