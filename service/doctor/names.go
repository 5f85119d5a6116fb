package doctor

import (
	"context"
	"errors"
	"net"
	"strings"
)

// names asks DNS for the name of the gateway: servers that it delivers to, and those that
// send reports to its own addresses, look it up.
func (x *examination) names(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, x.Timeout)
	defer cancel()
	host := x.parts.Gateway.Hostname
	addresses, err := x.LookupHost(ctx, host)
	notFound, isDNS := errors.AsType[*net.DNSError](err)
	switch {
	case err == nil:
		x.ok("dns", host, "has "+strings.Join(addresses, ", "))
	case isDNS && notFound.IsNotFound:
		x.add(Warning, "dns", host, "hostname has no address in DNS: servers that check EHLO may refuse mail",
			"publish an A or AAAA record for it, or set hostname to a name that has one")
	default:
		x.add(Error, "dns", host, "DNS does not answer: "+err.Error(), "check /etc/resolv.conf and the name server")
	}
}
