package service

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/publish"
	"github.com/smimerelay/smimerelay/publish/ldapd"
	"github.com/smimerelay/smimerelay/publish/web"
	"github.com/smimerelay/smimerelay/smime/address"
)

const (
	// publishHTTPS and publishLDAP are the protocols of listeners of [[publish]].
	publishHTTPS = "publish-https"
	publishLDAP  = "publish-ldap"
	// publishTime bounds one request, and publishHeader its header in octets.
	publishTime   = 10 * time.Second
	publishHeader = 8 << 10
)

// countPublished counts the questions that a [[publish]] answers.
func (s *Service) countPublished(spec listenerSpec) func(result string) {
	name := strings.TrimSuffix(strings.TrimPrefix(spec.name, "[publish:"), "]")
	return func(result string) { s.metrics.Published.WithLabelValues(name, result).Inc() }
}

// publishWeb makes the server of a [[publish]] to https.
func (s *Service) publishWeb(spec listenerSpec) server {
	answers := web.Server{
		Limiter: publish.NewLimiter(s.options.Clock), Log: s.log,
		Count: s.countPublished(spec),
		Published: func() web.Published {
			p, release := s.use()
			defer release()
			t := publishTable(p.Config, spec.name)
			if t == nil {
				return web.Published{}
			}
			return web.Published{Snapshot: s.currentSnapshot(), Match: p.publishes[t.Name].Match, PerMinute: t.PerMinute}
		},
	}
	h := &http.Server{
		Handler: answers.Handler(), ReadTimeout: publishTime, WriteTimeout: publishTime, IdleTimeout: publishTime,
		MaxHeaderBytes: publishHeader, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	if spec.tls == tlsOff {
		return &limitedServer{server: h}
	}
	return &limitedServer{server: &tlsServer{h, s.tlsConfig(spec)}}
}

// limitedServer bounds the connections of a server.
type limitedServer struct {
	server

	connections publish.Connections
}

// Serve implements server.
func (l *limitedServer) Serve(socket net.Listener) error {
	return l.server.Serve(l.connections.Limit(socket))
}

// publishTLS are the ways to TLS of a [[publish]] to ldap.
var publishTLS = map[string]ldapd.TLSMode{tlsOff: ldapd.NoTLS, "implicit": ldapd.Implicit, "starttls": ldapd.StartTLS}

// publishDirectory makes the server of a [[publish]] to ldap.
func (s *Service) publishDirectory(spec listenerSpec) server {
	mode := publishTLS[spec.tls]
	d := &ldapd.Server{
		Limiter: publish.NewLimiter(s.options.Clock), Mode: mode, Log: s.log, Count: s.countPublished(spec),
		Published: func() (*ldapd.Published, func()) {
			p, release := s.use()
			return s.ldapPublished(p, spec.name, mode), release
		},
	}
	if mode != ldapd.NoTLS {
		d.TLS = s.tlsConfig(spec)
	}
	return d
}

// ldapPublished is what a server of LDAP has now.
func (s *Service) ldapPublished(p *Parts, listener string, mode ldapd.TLSMode) *ldapd.Published {
	t := publishTable(p.Config, listener)
	own, err := isLocal(p.Config)
	if t == nil || err != nil {
		return &ldapd.Published{} // the listener is about to end
	}
	return &ldapd.Published{
		Snapshot: s.currentSnapshot(), Match: p.publishes[t.Name].Match, Own: own, Partners: partners{p},
		Base: t.Base, PerMinute: t.PerMinute, SizeLimit: t.SizeLimit, Networks: networks(t.Networks),
		BindDN: t.BindDN, Password: func() (string, error) { return readSecret(t.Password) }, StartTLS: mode == ldapd.StartTLS,
	}
}

// partners finds certificates of others as for mail to them.
type partners struct{ *Parts }

// Find implements ldapd.Partners.
func (p partners) Find(ctx context.Context, a address.Address) (*publish.Entry, error) {
	r := p.Directory.Lookup(ctx, a)
	switch r.Outcome {
	case directory.Usable:
		return &publish.Entry{Address: a, Certificates: r.Certificates, Chain: intermediates(r)}, nil
	case directory.None:
		return nil, nil
	}
	return nil, errNotKnown
}

var errNotKnown = errors.New("it is not known which certificates there are")

// intermediates are those on the paths of the usable certificates.
func intermediates(r directory.Result) []*x509.Certificate {
	var list []*x509.Certificate
	for i := range r.Candidates {
		c := &r.Candidates[i]
		if !slices.ContainsFunc(r.Certificates, c.Certificate.Equal) || len(c.Verdict.Chain) < 3 {
			continue
		}
		for _, above := range c.Verdict.Chain[1 : len(c.Verdict.Chain)-1] {
			if !slices.ContainsFunc(list, above.Equal) {
				list = append(list, above)
			}
		}
	}
	return list
}

// Beginning implements ldapd.Partners.
func (p partners) Beginning(ctx context.Context, text string, limit int) ([]address.Address, error) {
	return p.store.AddressesWithPrefix(ctx, text, limit)
}

// readSecret reads a file with a password in it.
func readSecret(path string) (string, error) {
	text, _, err := file.ReadSecret(path)
	return text, err
}
