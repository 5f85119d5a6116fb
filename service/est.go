package service

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/smimerelay/smimerelay/certs/enrol/builtin"
	"github.com/smimerelay/smimerelay/certs/enrol/est"
	"github.com/smimerelay/smimerelay/internal/pkix"
)

const (
	// estListener is the name of the EST server in the log. No listener of the
	// configuration has it.
	estListener = "[est]"
	// estProtocol is that of the EST server.
	estProtocol = "est"
	// estTime bounds one request.
	estTime = time.Minute
	// estHeader bounds the header of a request, in octets.
	estHeader = 16 << 10
)

// estServer serves EST for the built-in CA of the parts in use.
func (s *Service) estServer(spec listenerSpec) server {
	protocol := est.Server{Log: s.log, Authority: s.estAuthority}
	return &tlsServer{
		Server: &http.Server{
			Handler: protocol.Handler(), ReadTimeout: estTime, WriteTimeout: estTime, IdleTimeout: estTime, MaxHeaderBytes: estHeader,
			ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		},
		config: s.tlsConfig(spec),
	}
}

// tlsServer is an HTTP server whose certificate the configuration has.
type tlsServer struct {
	*http.Server
	config *tls.Config
}

// Serve implements server.
func (t *tlsServer) Serve(l net.Listener) error { return t.Server.Serve(tls.NewListener(l, t.config)) }

func (s *Service) estAuthority() (est.Authority, func(), error) {
	p, release := s.use()
	if p.authorities == nil {
		release()
		return nil, nil, ErrNoAuthority
	}
	return estDesk{p.authorities, s.log}, release, nil
}

// estDesk issues to clients of EST.
type estDesk struct {
	*Authorities
	log *slog.Logger
}

// CACerts implements est.Authority.
func (d estDesk) CACerts(context.Context) ([]*x509.Certificate, error) {
	var list []*x509.Certificate
	for _, h := range d.all {
		if !h.Revoked {
			list = append(list, h.Certificate)
		}
	}
	return list, nil
}

// Enroll implements est.Authority.
func (d estDesk) Enroll(ctx context.Context, r est.Request) (*x509.Certificate, error) {
	p, err := d.Requests()
	if err != nil {
		return nil, err
	}
	var cert *x509.Certificate
	switch {
	case r.Renew && r.Client != nil:
		cert, err = p.Renewed(ctx, r.Client, r.CSR)
	default:
		cert, err = p.Invited(ctx, r.User, r.Secret, r.CSR)
	}
	if errors.Is(err, builtin.ErrUnknown) {
		err = errors.Join(est.ErrUnauthorized, err)
	}
	if err == nil {
		d.log.InfoContext(ctx, "certificate issued", "subject", pkix.SubjectString(cert), "not_after", cert.NotAfter.UTC().Format(time.RFC3339))
	}
	return cert, err
}
