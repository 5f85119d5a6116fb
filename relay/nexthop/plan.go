package nexthop

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/smimerelay/smimerelay/internal/dns"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay/smtpclient"
)

// Plan is to which hosts a copy goes, in the order in which they are tried.
type Plan struct {
	Targets []Target
	// Notes say what else was found: records that are ignored, and why.
	Notes []string
	// Err is why none of the Targets takes the copy; nil where one may.
	Err error
}

// Target is a host with what it must prove.
type Target struct {
	// Name is that of the host, or its address or socket where it has none.
	Name string
	// Preference is that of the MX record; 0 where there is none.
	Preference uint16
	// Addresses are "address:port" or "unix:/path".
	Addresses []string
	// Security says what is demanded, for people.
	Security string
	// Err is why the host is not used; nil where it is.
	Err error

	tls    smtpclient.TLS
	secure bool // its name and addresses were validated
	name   string
	alias  string // where its name leads; "" if that is not known
}

func (t Target) hosts() []smtpclient.Host {
	var list []smtpclient.Host
	for _, a := range t.Addresses {
		list = append(list, smtpclient.Host{Address: a, Name: t.name, TLS: t.tls})
	}
	return list
}

// Plan finds the hosts for a domain, and what each must prove. It sends no mail.
func (n *NextHop) Plan(ctx context.Context, domain string) Plan {
	var p Plan
	switch {
	case n.config.Folder != "":
		return Plan{Targets: []Target{{Name: n.config.Folder, Security: "a folder of this machine"}}}
	case !n.PerDomain():
		p = n.configured(ctx)
	case strings.HasPrefix(domain, "["):
		p = n.literal(domain)
	default:
		p = n.exchangers(ctx, domain)
	}
	sts := n.policy(ctx, domain)
	for i := range p.Targets {
		if t := &p.Targets[i]; t.Err == nil {
			n.demand(ctx, t, domain, sts)
		}
	}
	return p
}

// configured are the hosts that the route names, in the order of this attempt.
func (n *NextHop) configured(ctx context.Context) Plan {
	var p Plan
	for _, i := range order(n.config.Weights, len(n.config.Hosts)) {
		h := n.config.Hosts[i]
		if strings.HasPrefix(h, "unix:") {
			p.Targets = append(p.Targets, Target{Name: h, Addresses: []string{h}})
			continue
		}
		host, port, err := net.SplitHostPort(h)
		t := Target{Name: host, Err: err, name: host}
		if ip, e := netip.ParseAddr(host); e == nil {
			t.Addresses, t.name = []string{netAddress(ip, port)}, ""
		} else if err == nil {
			n.resolve(ctx, &t, host, port)
		}
		p.Targets = append(p.Targets, t)
	}
	return p
}

// resolve finds the addresses of a host that the configuration names: as every program
// of this machine does, or, where they must be secure, by DNS.
func (n *NextHop) resolve(ctx context.Context, t *Target, host, port string) {
	var h dns.Host
	var err error
	if n.dane() {
		h, err = n.config.Lookup.Host(ctx, host)
	} else {
		h.Addresses, err = net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	}
	if err == nil && len(h.Addresses) == 0 {
		err = errNoAddress
	}
	if err != nil {
		// It is in the configuration: that it is not found is a fault of this side.
		t.Err = fault.New(fault.NextHop, "next hop not available", fmt.Errorf("host %q: %w", host, err))
	}
	t.secure, t.alias = h.Secure, h.Name
	for _, a := range h.Addresses {
		t.Addresses = append(t.Addresses, netAddress(a, port))
	}
}

func netAddress(a netip.Addr, port string) string { return net.JoinHostPort(a.Unmap().String(), port) }

// order is that of n hosts with weights, as RFC 2782 draws it.
func order(weights []int, n int) []int {
	left := make([]int, n)
	for i := range left {
		left[i] = i
	}
	if len(weights) != n {
		return left
	}
	var drawn []int
	for len(left) > 0 {
		sum := 0
		for _, i := range left {
			sum += weights[i]
		}
		at := 0
		if sum > 0 {
			for r := rand.IntN(sum); r >= weights[left[at]]; at++ { //nolint:gosec // G404: to share the load, not to hide anything
				r -= weights[left[at]]
			}
		}
		drawn = append(drawn, left[at])
		left = slices.Delete(left, at, at+1)
	}
	return drawn
}

// literal is the host of an address literal (RFC 5321 section 4.1.3).
func (n *NextHop) literal(domain string) Plan {
	text := strings.TrimSuffix(strings.TrimPrefix(domain, "["), "]")
	if len(text) > 5 && strings.EqualFold(text[:5], "IPv6:") {
		text = text[5:]
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return Plan{Err: refused(fault.NoHost, fmt.Sprintf("%s is not an address that mail can be sent to", domain))}
	}
	if n.config.Self(a) {
		return Plan{Err: refused(fault.Looping, fmt.Sprintf("mail for %s loops back to this host", domain))}
	}
	return Plan{Targets: []Target{{Name: domain, Addresses: []string{netAddress(a, portText(n.config.Port))}}}}
}

// maxExchangers is how many mail exchangers of a domain are considered.
const maxExchangers = 20

// exchangers are the hosts that take mail for a domain (RFC 5321 section 5.1).
func (n *NextHop) exchangers(ctx context.Context, domain string) Plan {
	list, secure, err := n.config.Lookup.MX(ctx, domain)
	switch {
	case errors.Is(err, dns.ErrNoName):
		return Plan{Err: refused(fault.NoDomain, fmt.Sprintf("domain %s does not exist", domain))}
	case err != nil:
		return Plan{Err: deferred(fmt.Sprintf("mail exchangers of %s could not be looked up", domain), err)}
	case len(list) == 1 && list[0].Host == "":
		return Plan{Err: refused(fault.NullMX, fmt.Sprintf("domain %s accepts no mail (null MX)", domain))}
	case len(list) == 0:
		list = []dns.MX{{Host: domain}}
	}
	var p Plan
	if n.dane() && !secure {
		p.Notes = append(p.Notes, "the MX records are not secured by DNSSEC: TLSA records do not count")
	}
	list = slices.DeleteFunc(list, func(m dns.MX) bool { return m.Host == "" })
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] }) //nolint:gosec // G404: as above
	slices.SortStableFunc(list, func(a, b dns.MX) int { return cmp.Compare(a.Preference, b.Preference) })
	found := n.resolveAll(ctx, list[:min(len(list), maxExchangers)])
	best := n.bestOfOurs(found)
	for _, t := range found {
		if best >= 0 && int(t.Preference) >= best {
			p.Notes = append(p.Notes, fmt.Sprintf("%s is not used: this host is a mail exchanger of preference %d", t.Name, best))
			continue
		}
		t.secure = t.secure && secure
		p.Targets = append(p.Targets, t)
	}
	p.Err = n.unusable(domain, p.Targets, best >= 0)
	return p
}

// unusable is the error of mail exchangers none of which will ever take mail.
func (n *NextHop) unusable(domain string, targets []Target, ours bool) error {
	if len(targets) == 0 && ours {
		return refused(fault.Looping, fmt.Sprintf("mail for %s loops back to this host", domain))
	}
	for _, t := range targets {
		if t.Err == nil || !errors.Is(t.Err, errNoAddress) {
			return nil
		}
	}
	return refused(fault.NoHost, fmt.Sprintf("no mail exchanger of %s has an address", domain))
}

// bestOfOurs is the least preference with which this host is a mail exchanger; -1 if it
// is none.
func (n *NextHop) bestOfOurs(list []Target) int {
	best := -1
	for _, t := range list {
		ours := strings.EqualFold(t.Name, n.config.Client.Hostname)
		for _, a := range t.Addresses {
			ap, err := netip.ParseAddrPort(a)
			ours = ours || err == nil && n.config.Self(ap.Addr())
		}
		if ours && (best < 0 || int(t.Preference) < best) {
			best = int(t.Preference)
		}
	}
	return best
}

var errNoAddress = errors.New("the host has no address")

// resolveAll finds the addresses of mail exchangers.
func (n *NextHop) resolveAll(ctx context.Context, list []dns.MX) []Target {
	targets := make([]Target, len(list))
	var wg sync.WaitGroup
	for i, m := range list {
		wg.Go(func() {
			t := Target{Name: m.Host, Preference: m.Preference, name: m.Host}
			h, err := n.config.Lookup.Host(ctx, m.Host)
			if err == nil && len(h.Addresses) == 0 || errors.Is(err, dns.ErrNoName) {
				err = errNoAddress
			}
			if err != nil {
				t.Err = fault.New(fault.NextHop, "next hop not available", fmt.Errorf("host %q: %w", m.Host, err))
			}
			t.secure, t.alias = h.Secure, h.Name
			for _, a := range h.Addresses {
				t.Addresses = append(t.Addresses, netAddress(a, portText(n.config.Port)))
			}
			targets[i] = t
		})
	}
	wg.Wait()
	return targets
}
