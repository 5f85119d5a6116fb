package directory

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// resolveAfter is how long the servers of a domain are assumed to be the same.
const resolveAfter = 5 * time.Minute

// Resolver looks SRV records up; *net.Resolver is one.
type Resolver interface {
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
}

// domainServers are the servers of a domain by its SRV records, sorted by
// priority and drawn by weight as RFC 2782 asks.
type domainServers struct {
	target target
	dialer *dialer
	cfg    LDAPConfig

	mu       sync.Mutex
	closed   bool
	resolved time.Time // when DNS answered last
	tried    time.Time // when it was asked last
	err      error     // what it said then
	order    []*server
	known    map[string]*server // by address: connections outlive a resolution
}

func newDomainServers(t target, d *dialer, cfg LDAPConfig) *domainServers {
	return &domainServers{target: t, dialer: d, cfg: cfg, known: make(map[string]*server)}
}

// list resolves when it is time. When DNS does not answer, the servers of the
// last time serve on.
func (d *domainServers) list(ctx context.Context) ([]*server, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.cfg.Clock()
	fresh := len(d.order) > 0 && now.Sub(d.resolved) < resolveAfter
	if d.closed || fresh || d.err != nil && now.Sub(d.tried) < restFirst {
		return d.order, d.err
	}
	d.err = d.resolve(ctx)
	d.tried = d.cfg.Clock()
	return d.order, d.err
}

func (d *domainServers) resolve(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Timeout)
	defer cancel()
	service := "ldap"
	if d.target.tls {
		service = "ldaps"
	}
	_, records, err := d.cfg.Resolver.LookupSRV(ctx, service, "tcp", d.target.domain)
	if err != nil {
		return fmt.Errorf("servers of %q: %w", d.target.domain, err)
	}
	if len(records) == 1 && strings.Trim(records[0].Target, ".") == "" {
		// RFC 2782: the domain says that it has no such service.
		return fmt.Errorf("servers of %q: the SRV record says that there are none", d.target.domain)
	}
	old := d.order
	d.resolved, d.order = d.cfg.Clock(), nil
	for _, r := range records {
		d.order = append(d.order, d.server(r))
	}
	for _, s := range old {
		if !slices.Contains(d.order, s) {
			delete(d.known, s.target.address)
			s.close()
		}
	}
	return nil
}

// server returns the one that a record names. DNS is not to be trusted with the
// name that a certificate must bear (RFC 4513 section 3.1.3), unless it lies
// within the domain that the administrator named.
func (d *domainServers) server(r *net.SRV) *server {
	host := strings.TrimSuffix(r.Target, ".")
	t := d.target
	t.network, t.address = "tcp", net.JoinHostPort(host, strconv.Itoa(int(r.Port)))
	if s, ok := d.known[t.address]; ok {
		return s
	}
	t.host = t.domain
	if strings.HasSuffix(strings.ToLower(host), "."+strings.ToLower(t.domain)) {
		t.host = host
	}
	t.url += " (" + t.address + ")"
	s := newServer(t, d.dialer, d.cfg)
	d.known[t.address] = s
	return s
}

func (d *domainServers) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed, d.order = true, nil
	for _, s := range d.known {
		s.close()
	}
}
