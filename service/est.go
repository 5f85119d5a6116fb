package service

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/enrol"
	"github.com/smimerelay/smimerelay/certs/enrol/builtin"
	"github.com/smimerelay/smimerelay/certs/enrol/est"
	"github.com/smimerelay/smimerelay/certs/enrol/scep"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime/address"
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
	protocol := est.Server{Log: s.log, CA: s.estCA}
	mux := http.NewServeMux()
	mux.Handle("/", protocol.Handler())
	mux.Handle(scep.Path, s.scepHandler())
	return &limitedServer{server: &tlsServer{
		Server: &http.Server{
			Handler: mux, ReadTimeout: estTime, WriteTimeout: estTime, IdleTimeout: estTime, MaxHeaderBytes: estHeader,
			ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		},
		config: s.tlsConfig(spec),
	}}
}

// tlsServer is an HTTP server whose certificate the configuration has.
type tlsServer struct {
	*http.Server
	config *tls.Config
}

// Serve implements server.
func (t *tlsServer) Serve(l net.Listener) error { return t.Server.Serve(tls.NewListener(l, t.config)) }

func (s *Service) estCA() (est.CA, func(), error) {
	p, release := s.use()
	if p.authorities == nil {
		release()
		return nil, nil, ErrNoAuthority
	}
	return estCA{requestCA{p.authorities, s.log}, p.enroller, p.Config.EST.ShareKey}, release, nil
}

// requestCA issues to clients that hold their keys themselves.
type requestCA struct {
	*Authorities
	log *slog.Logger
}

// enroll certifies the key of a request, for the holder of the certificate that it renews, or
// of the secret that was made for an address.
func (ca requestCA) enroll(ctx context.Context, renews *x509.Certificate, user, secret string, csr *x509.CertificateRequest) (*x509.Certificate, error) {
	p, err := ca.Requests()
	if err != nil {
		return nil, err
	}
	var cert *x509.Certificate
	if renews != nil {
		cert, err = p.Renewed(ctx, renews, csr)
	} else {
		cert, err = p.Invited(ctx, user, secret, csr)
	}
	if err == nil {
		ca.log.InfoContext(ctx, "certificate issued", "subject", pkix.SubjectString(cert), "not_after", cert.NotAfter.UTC().Format(time.RFC3339))
	}
	return cert, err
}

// estCA issues to clients of EST.
type estCA struct {
	requestCA
	enroller *enrol.Enroller
	// share: clients get the keys with which the gateway decrypts.
	share bool
}

// authorities are those that were not revoked.
func (ca requestCA) authorities() []*x509.Certificate {
	var list []*x509.Certificate
	for _, h := range ca.all {
		if !h.Revoked {
			list = append(list, h.Certificate)
		}
	}
	return list
}

// CACerts implements est.CA.
func (ca estCA) CACerts(context.Context) ([]*x509.Certificate, error) { return ca.authorities(), nil }

// Enroll implements est.CA.
func (ca estCA) Enroll(ctx context.Context, r est.Request) (*x509.Certificate, error) {
	var renews *x509.Certificate
	if r.Renew {
		renews = r.Client
	}
	cert, err := ca.enroll(ctx, renews, r.User, r.Secret, r.CSR)
	if errors.Is(err, builtin.ErrUnknown) {
		err = errors.Join(est.ErrUnauthorized, err)
	}
	return cert, err
}

// ServerKey implements est.CA: each invited client of an address gets the same key.
func (ca estCA) ServerKey(ctx context.Context, r est.Request) (*certs.Identity, error) {
	if !ca.share {
		return nil, est.ErrNoServerKeys
	}
	p, err := ca.Requests()
	if err != nil {
		return nil, err
	}
	a, err := p.Redeem(ctx, r.User, r.Secret, r.CSR)
	if errors.Is(err, builtin.ErrUnknown) {
		err = errors.Join(est.ErrUnauthorized, err)
	}
	if err == nil {
		err = ca.Local(a)
	}
	if err != nil {
		return nil, err
	}
	// As a message would order it: there is one for all who ask.
	if _, err := ca.enroller.Issue(ctx, a); err != nil {
		return nil, err
	}
	id, err := ca.shared(ctx, a)
	if err == nil {
		ca.log.InfoContext(ctx, "private key sent to a client", "address", a.String(), "subject", pkix.SubjectString(id.Certificate))
	}
	return id, err
}

// shared is the newest identity of an address in the store to which mail is encrypted.
func (ca estCA) shared(ctx context.Context, a address.Address) (*certs.Identity, error) {
	has := true
	found, err := ca.store.Find(ctx, store.Query{Address: &a, HasKey: &has})
	if err != nil {
		return nil, err
	}
	now := ca.clock()
	for _, e := range found {
		c := e.Certificate
		if e.Token == "" && certs.Decrypts(c) && len(e.Addresses) == 1 && e.RevokedAt.IsZero() && !e.BlockedAt(now) && !now.Before(c.NotBefore) && !now.After(c.NotAfter) {
			return ca.store.Identity(ctx, e.Fingerprint)
		}
	}
	return nil, &enrol.Refusal{Cause: fmt.Errorf("the store of the gateway has no valid key for %s that decrypts", a)}
}
