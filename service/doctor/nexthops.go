package doctor

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/relay/nexthop"
	"github.com/smimerelay/smimerelay/relay/smtpclient"
	"github.com/smimerelay/smimerelay/service"
)

// nextHops connects to each host that the configuration names, as for a delivery.
func (x *examination) nextHops(ctx context.Context) {
	for _, n := range x.parts.NextHops() {
		if len(n.Hosts()) > 0 {
			x.route(ctx, n)
		}
	}
}

func (x *examination) route(ctx context.Context, n service.NextHop) {
	for _, h := range n.Hosts() {
		config.Place(h)
	}
	ctx, cancel := context.WithTimeout(ctx, x.Timeout)
	defer cancel()
	for _, target := range n.Plan(ctx, "").Targets {
		x.target(n.Route, target, n.Probe(ctx, target))
	}
}

func (x *examination) target(route string, target nexthop.Target, probed []nexthop.Probed) {
	section := "[next_hop]"
	if !strings.Contains(route, ".") {
		section = "its [[route]]"
	}
	remedy := "start the server there, or correct the address, tls and ca of " + section + "; until then mail waits"
	if target.Err != nil {
		x.add(Error, "next_hop", route+" "+target.Name, target.Err.Error(), remedy)
	}
	for _, p := range probed {
		where := route + " " + p.Address
		if p.Probe == nil {
			x.add(Error, "next_hop", where, p.Error, remedy)
			continue
		}
		x.hop(where, *p.Probe)
	}
}

func (x *examination) hop(where string, hop smtpclient.Probe) {
	before := len(x.findings)
	if _, ok := hop.Extensions["8BITMIME"]; !ok {
		x.add(Warning, "next_hop", where, "does not offer 8BITMIME: signed mail with 8-bit text that is passed on is refused with 5.6.3",
			"remove 8bitmime from smtpd_discard_ehlo_keywords there, or use a server that has it")
	}
	if _, ok := hop.Extensions["DSN"]; !ok {
		x.add(Note, "next_hop", where, "does not offer DSN: the wishes of senders for delivery reports end here", "remove dsn from smtpd_discard_ehlo_keywords there")
	}
	// Base64 and a signature add a third and a little; encryption adds another third.
	size, err := strconv.ParseInt(hop.Extensions["SIZE"], 10, 64)
	if err == nil && size > 0 && size < grown(int64(x.config.Limits.MessageSize)) {
		x.add(Warning, "next_hop", where, fmt.Sprintf("takes messages of %d octets: what is signed or encrypted grows, and large messages may be refused there", size),
			fmt.Sprintf("raise message_size_limit there to %d, and where they are smaller mailbox_size_limit and virtual_mailbox_limit; give the ports of a Postfix that clients use one of %d; or lower limits.message_size",
				grown(int64(x.config.Limits.MessageSize)), int64(x.config.Limits.MessageSize)))
	}
	if len(x.findings) == before {
		text := "answers, no TLS"
		if hop.TLS != "" {
			text = "answers, " + hop.TLS
		}
		x.ok("next_hop", where, text)
	}
}

// grown is how large a message of size octets may become when it is signed and encrypted.
func grown(size int64) int64 { return size * 2 }
