package service

import (
	"context"

	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/nexthop"
	"github.com/smimerelay/smimerelay/relay/route"
)

// ExplainedRoute is what `route test` prints: by which way a copy would leave.
type ExplainedRoute struct {
	Recipient string `json:"recipient"`
	Route     string `json:"route"`
	// Line is that of the [[route]]; 0 for [next_hop] and next_hop of a listener.
	Line int `json:"line,omitempty"`
	// Destination is what copies share that wait and fail together.
	Destination string          `json:"destination"`
	Hosts       []ExplainedHost `json:"hosts"`
	Notes       []string        `json:"notes,omitempty"`
	// Reply is what the sender would get, if no host can take the copy.
	Reply string `json:"reply,omitempty"`
}

// ExplainedHost is a host of a route.
type ExplainedHost struct {
	Name       string   `json:"name"`
	Preference uint16   `json:"preference,omitempty"`
	Addresses  []string `json:"addresses,omitempty"`
	// Security says what TLS is demanded.
	Security string `json:"security,omitempty"`
	// Error says why the host is not used.
	Error string `json:"error,omitempty"`
	// Probes are what the addresses answered, if they were asked.
	Probes []nexthop.Probed `json:"probes,omitempty"`
}

// ExplainRoute finds the way of a copy. With probe it connects to the hosts; it sends no
// mail.
func (p *Parts) ExplainRoute(ctx context.Context, f route.Facts, probe bool) ExplainedRoute {
	at := p.routes.table.Destination(f)
	hop := p.routes.hops[at.Route]
	x := ExplainedRoute{Recipient: f.Recipient.String(), Route: at.Route, Destination: at.String(), Hosts: []ExplainedHost{}}
	for i := range p.Config.Routes {
		if p.Config.Routes[i].Name == at.Route {
			x.Line = p.Config.Routes[i].Line
		}
	}
	plan := hop.Plan(ctx, at.Domain)
	x.Notes = plan.Notes
	if plan.Err != nil {
		x.Reply = relay.ReplyFor(plan.Err).String()
	}
	for _, t := range plan.Targets {
		h := ExplainedHost{Name: t.Name, Preference: t.Preference, Addresses: t.Addresses, Security: t.Security}
		if t.Err != nil {
			h.Error = t.Err.Error()
		} else if probe {
			h.Probes = hop.Probe(ctx, t)
		}
		x.Hosts = append(x.Hosts, h)
	}
	return x
}
