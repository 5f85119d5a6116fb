package main

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/relay/nexthop"
	"github.com/smimerelay/smimerelay/relay/route"
	"github.com/smimerelay/smimerelay/service"
	"github.com/smimerelay/smimerelay/smime/address"
)

type routeCmd struct {
	Test routeTestCmd `cmd:"" help:"Show the route, hosts and TLS policy for a recipient."`
}

type routeTestCmd struct {
	Config    string `default:"${config}" placeholder:"FILE" help:"The configuration file."`
	From      string `default:"<>" placeholder:"ADDR" help:"Envelope sender; <> is the null sender."`
	Listener  string `placeholder:"NAME" help:"Name of the listener that received the message."`
	Direction string `enum:",outbound,inbound" default:"" placeholder:"WORD" help:"Direction of the message: outbound or inbound (default: inbound to local domains, otherwise outbound)."`
	Rule      string `placeholder:"NAME" help:"Name of the rule that decided."`
	Probe     bool   `help:"Connect to the hosts and show what they answer. Sends no mail."`
	JSON      bool   `name:"json" help:"Print the result as JSON."`
	Address   string `arg:"" help:"Recipient."`
}

// Help is shown below the summary.
func (routeTestCmd) Help() string {
	return `Looks up what the gateway would look up: MX, address and TLSA records and the MTA-STS policy. With --probe it connects to every address, secures the connection and logs in as for mail, and ends the session. The exit status is 1 if no host can take mail, or with --probe if none could be reached as required.`
}

func (routeTestCmd) examples() string {
	return `smimerelay route test bob@example.net
		smimerelay route test bob@example.net --probe
		smimerelay route test bob@example.net --from alice@example.org --listener outbound --json`
}

// Run prints by which way mail for the address leaves.
func (c *routeTestCmd) Run(a *app) error {
	f := route.Facts{Listener: c.Listener, Direction: c.Direction, Rule: c.Rule}
	var err error
	if f.Recipient, err = address.Parse(c.Address); err != nil {
		return unusable(fmt.Errorf("recipient: %w; write local@domain", err))
	}
	if c.From != "" && c.From != "<>" {
		if f.Sender, err = address.Parse(c.From); err != nil {
			return unusable(fmt.Errorf("--from: %w; write local@domain", err))
		}
	}
	parts, problems := service.Load(c.Config, a.clock, slog.New(slog.DiscardHandler))
	if len(problems) > 0 {
		return problems
	}
	defer parts.Close()
	x := parts.ExplainRoute(background(), f, c.Probe)
	if c.JSON {
		err = a.printJSON(x)
	} else {
		err = c.print(a.page(), x)
	}
	if err != nil {
		return err
	}
	return routeStatus(x, c.Probe)
}

func (c *routeTestCmd) print(p *page, x service.ExplainedRoute) error {
	p.line("%s leaves by route %s%s", x.Recipient, x.Route, place(c.Config, x.Line))
	if x.Destination != x.Route {
		p.line("  destination: %s", x.Destination)
	}
	for _, note := range x.Notes {
		p.line("  note: %s", note)
	}
	if x.Reply != "" {
		p.line("  not delivered: %s", x.Reply)
	}
	for _, h := range x.Hosts {
		preference := ""
		if h.Preference > 0 {
			preference = fmt.Sprintf(" (MX %d)", h.Preference)
		}
		p.line("  host %s%s", h.Name, preference)
		if h.Error != "" {
			p.line("    not used: %s", h.Error)
			continue
		}
		if len(h.Addresses) > 0 {
			p.line("    addresses: %s", strings.Join(h.Addresses, ", "))
		}
		p.line("    security: %s", h.Security)
		for _, probed := range h.Probes {
			p.probed(probed)
		}
	}
	return p.err
}

func (p *page) probed(x nexthop.Probed) {
	if x.Probe == nil {
		p.line("    %s: %s", x.Address, x.Error)
		return
	}
	p.line("    %s: is %s", x.Address, x.Name)
	switch {
	case x.TLS == "":
		p.line("      no TLS")
	case x.Verified:
		p.line("      %s, %s, verified", x.TLS, x.Cipher)
	default:
		p.line("      %s, %s, not verified", x.TLS, x.Cipher)
	}
	if x.Subject != "" {
		p.line("      certificate: %s, issued by %s", x.Subject, x.Issuer)
	}
	p.lineIf(x.LoggedIn, "      logged in")
	var offers []string
	for _, keyword := range slices.Sorted(maps.Keys(x.Extensions)) {
		offers = append(offers, strings.TrimSpace(keyword+" "+x.Extensions[keyword]))
	}
	p.line("      offers %s", strings.Join(offers, ", "))
}

// routeStatus is a negative answer where no host takes mail, or none could be reached.
func routeStatus(x service.ExplainedRoute, probe bool) error {
	ok := false
	for _, h := range x.Hosts {
		usable := h.Error == "" && !probe
		for _, p := range h.Probes {
			usable = usable || p.Probe != nil
		}
		ok = ok || usable
	}
	if !ok || x.Reply != "" {
		return &statusError{status: exitNegative}
	}
	return nil
}
