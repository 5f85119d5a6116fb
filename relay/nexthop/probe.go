package nexthop

import (
	"context"

	"github.com/smimerelay/smimerelay/relay/smtpclient"
)

// Probed is what an address of a host answered.
type Probed struct {
	Address string `json:"address"`
	Error   string `json:"error,omitempty"`
	*smtpclient.Probe
}

// Probe asks each address of a target, without sending mail.
func (n *NextHop) Probe(ctx context.Context, t Target) []Probed {
	var list []Probed
	for _, h := range t.hosts() {
		p, err := n.client.Probe(ctx, h)
		if err != nil {
			list = append(list, Probed{Address: h.Address, Error: err.Error()})
			continue
		}
		list = append(list, Probed{Address: h.Address, Probe: &p})
	}
	return list
}
