package gateway

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/address"
)

// routed refuses recipients that mail servers read in another way than they are
// written: operators in the local part of a domain that the MTA takes for its
// own, where Postfix looks into the local part for the real recipient (a%b, b!a,
// "a@b"; allow_percent_hack, swap_bangpath and resolve_dequoted_address), files
// and X.400 names ("/"), and hosts named by number. In other domains a local part
// is the business of those who receive it (RFC 5321 section 2.3.11).
func (g *Gateway) routed(env *relay.Envelope, a address.Address) error {
	if g.AllowRouted {
		return nil
	}
	if isLiteral(a.Domain()) {
		return relay.RoutedRefusal(a.String(), "the domain is an address literal")
	}
	if i := strings.IndexAny(a.Local(), "%!@/"); i >= 0 && g.nearby(env, a) {
		return relay.RoutedRefusal(a.String(), fmt.Sprintf("%q in the local part", a.Local()[i:i+1]))
	}
	return nil
}

// isLiteral reports whether a domain is an address literal (RFC 5321 section
// 4.1.3), or an address without its brackets.
func isLiteral(domain string) bool {
	if strings.HasPrefix(domain, "[") {
		return true
	}
	_, err := netip.ParseAddr(domain)
	return err == nil || isNumeric(domain)
}

// isNumeric reports whether the last label is a number: no domain of the DNS
// is, and C libraries read such names as IPv4 addresses ("127.1", "0x7f.1").
func isNumeric(domain string) bool {
	last := domain[strings.LastIndexByte(domain, '.')+1:]
	digits := strings.TrimPrefix(last, "0x")
	return digits != "" && strings.Trim(digits, "0123456789") == "" ||
		digits != last && strings.Trim(digits, "0123456789abcdef") == ""
}

// nearby reports whether an MTA in front or behind may take the domain of a for
// its own: it is one of our domains or below one, our host or the MTA's, the
// domain that one of them is in, or the local host.
func (g *Gateway) nearby(env *relay.Envelope, a address.Address) bool {
	if g.own(a) || g.below.Match(a) {
		return true
	}
	d := a.Domain()
	for _, host := range []string{g.Hostname, env.MTA, "localhost", "localhost.localdomain"} {
		host = strings.ToLower(host)
		_, parent, _ := strings.Cut(host, ".")
		if d == host || d == parent && strings.Contains(parent, ".") {
			return true
		}
	}
	return strings.HasSuffix(d, ".localhost")
}
