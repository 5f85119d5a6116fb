// Package nexthop carries copies by a route: it finds the hosts, decides what each must
// prove by TLS (DANE, RFC 7672; MTA-STS, RFC 8461; the configuration), and gives the copy
// to the first that takes it.
//
// A copy that must be sent with TLS is never sent without: what is not known, such as TLSA
// records that cannot be looked up, defers it.
package nexthop

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/internal/dns"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/pemfile"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/mtasts"
	"github.com/smimerelay/smimerelay/relay/smtpclient"
)

// Mode says what is demanded of TLS.
type Mode string

// The modes.
const (
	// Off never uses TLS.
	Off Mode = "off"
	// Opportunistic uses it where it is offered, and verifies nothing (RFC 7435).
	Opportunistic Mode = "opportunistic"
	// Require wants a certificate for the name of the host, or sends nothing.
	Require Mode = "require"
	// DANE does what the TLSA records of a host demand (RFC 7672), and is opportunistic
	// with a host that has none.
	DANE Mode = "dane"
	// MTASTS does what DANE does and, for a domain whose hosts have no TLSA records, what
	// its policy demands (RFC 8461).
	MTASTS Mode = "mta-sts"
)

// Config describes the hosts of a route.
type Config struct {
	// Hosts are "host:port" or "unix:/path", in the order in which they are tried; none
	// are the mail exchangers of the recipient's domain.
	Hosts []string
	// Weights, one for each host, make the order random: a host comes first in proportion
	// to its weight, and one of weight 0 after all others.
	Weights []int
	// Folder takes the messages as files, as the folder "new" of a Maildir; "" for none.
	Folder string
	// Port is where mail exchangers listen; 0 is 25.
	Port int
	// TLS is the mode; Implicit begins with TLS, without STARTTLS.
	TLS      Mode
	Implicit bool
	// CA is a PEM file with the authorities trusted by Require; "" is those of the system.
	CA string
	// VerifyName is the name that a host must prove; "" is its own.
	VerifyName string
	// Certificate and Key are PEM files of a client certificate, read at each handshake.
	Certificate, Key string
	// Concurrency is how many messages are given to one destination at once, and Rate how
	// many are begun in a minute; 0 is no limit.
	Concurrency, Rate int
	// Freed, where not nil, learns that the queue may ask again for the turn at a domain that
	// it asked for in vain. It must neither block nor ask at once.
	Freed func(domain string)
	// Lookup finds mail exchangers, and TLSA records.
	Lookup *dns.Lookup
	// Policies finds the policies of MTASTS, and Roots are the authorities that are trusted
	// by it; nil is those of the system.
	Policies *mtasts.Cache
	Roots    *x509.CertPool
	// Self reports whether an address is of this host: mail for it would loop.
	Self func(netip.Addr) bool
	// Client says how to speak to the hosts.
	Client smtpclient.Config
	// Count, where not nil, learns of each attempt to secure a connection: by which sort
	// of policy, and its result, in the words of RFC 8460 section 4.3.
	Count func(policy, result string)
	// Clock is time.Now where nil.
	Clock func() time.Time
}

// NextHop is where a route leads. It is safe for concurrent use.
type NextHop struct {
	config Config
	client *smtpclient.Client
	limits limits
	roots  pool
}

// New returns a NextHop. It does not connect. Its error joins all that is wrong.
func New(c Config) (*NextHop, error) {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Port == 0 {
		c.Port = 25
	}
	if c.Self == nil {
		c.Self = local
	}
	n := &NextHop{limits: newLimits(c.Concurrency, c.Rate, c.Clock, c.Freed)}
	var errs []error
	for _, h := range c.Hosts {
		errs = append(errs, checkHost(h, c))
	}
	if c.CA != "" {
		var err error
		if n.roots.roots, err = pemfile.Pool(c.CA); err != nil {
			errs = append(errs, fmt.Errorf("ca: %w", err))
		}
		n.roots.key = c.CA
	}
	if c.Certificate != "" {
		if _, err := pemfile.KeyPair(c.Certificate, c.Key); err != nil {
			errs = append(errs, fmt.Errorf("client certificate: %w", err))
		}
	}
	if len(c.Weights) > 0 && len(c.Weights) != len(c.Hosts) {
		errs = append(errs, fmt.Errorf("%d weights for %d hosts", len(c.Weights), len(c.Hosts)))
	}
	if c.TLS == MTASTS && len(c.Hosts) > 0 {
		errs = append(errs, errors.New(`tls "mta-sts" is about mail exchangers, and the route names hosts`))
	}
	if c.Implicit && c.TLS != Require {
		errs = append(errs, errors.New(`TLS from the start needs tls = "require"`))
	}
	n.config = c
	c.Client.Opened, c.Client.Clock = n.opened, c.Clock
	n.client = smtpclient.New(c.Client)
	return n, errors.Join(errs...)
}

func checkHost(h string, c Config) error {
	if strings.HasPrefix(h, "unix:") {
		if c.TLS != Off && c.TLS != Opportunistic && c.VerifyName == "" {
			return fmt.Errorf("tls %q: a unix socket has no name to verify", c.TLS)
		}
		return nil
	}
	if _, _, err := net.SplitHostPort(h); err != nil {
		return fmt.Errorf("next hop address %q: %w", h, err)
	}
	return nil
}

// Close closes the connections that are kept open.
func (n *NextHop) Close() error { return n.client.Close() }

// PerDomain reports whether the domain of a recipient decides the hosts.
func (n *NextHop) PerDomain() bool { return len(n.Hosts()) == 0 && n.config.Folder == "" }

// Hosts are the hosts that the configuration names, "host:port" or "unix:/path".
func (n *NextHop) Hosts() []string { return n.config.Hosts }

// maxAddresses is how many addresses are tried for one message: what is behind many
// names that do not answer must not occupy a worker for hours.
const maxAddresses = 10

// Deliver gives d, whose recipients are all in domain where the route is PerDomain, to
// the first host that takes it, and returns what relay.Deliverer does. It is for one who
// has the turn.
func (n *NextHop) Deliver(ctx context.Context, domain string, d relay.Delivery) ([]error, []bool) {
	if n.config.Folder != "" {
		return n.store(ctx, d)
	}
	t := smtpclient.NewTransfer(d)
	plan := n.Plan(ctx, domain)
	if plan.Err != nil {
		t.Note(plan.Err)
		return t.Results()
	}
	tried := 0
	for _, target := range plan.Targets {
		if target.Err != nil {
			t.Note(target.Err)
			continue
		}
		for _, host := range target.hosts() {
			if !t.Open() || ctx.Err() != nil || tried >= maxAddresses {
				return t.Results()
			}
			tried++
			n.client.Deliver(ctx, host, t)
		}
	}
	return t.Results()
}

// local reports whether an address is of this host.
func local(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if a.IsLoopback() || a.IsUnspecified() {
		return true
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	return slices.ContainsFunc(own, func(o net.Addr) bool {
		p, err := netip.ParsePrefix(o.String())
		return err == nil && p.Addr().WithZone("") == a
	})
}

// certificate reads the client certificate: the files may have been renewed.
func (n *NextHop) certificate() (*tls.Certificate, error) {
	pair, err := pemfile.KeyPair(n.config.Certificate, n.config.Key)
	return &pair, err
}

// deferred is the error of what may be found out later.
func deferred(text string, cause error) error { return fault.New(fault.Unavailable, text, cause) }

// refused is the error of what no host will ever take.
func refused(d fault.Detail, text string) error {
	return fault.Narrow(fault.Refused, d, text, nil)
}

func portText(port int) string { return strconv.Itoa(port) }
