package service

import (
	"context"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/smtpclient"
	"github.com/smimerelay/smimerelay/smime/address"
)

// routes says which next hop a recipient's copy goes to.
type routes struct {
	nextHop   *smtpclient.Client
	local     *smtpclient.Client // for recipients in domains; nil: they have no other
	domains   *enforce.Patterns
	listeners map[string]*smtpclient.Client // by listener, where it has its own
}

func (r *routes) to(listener string, a address.Address) *smtpclient.Client {
	if own, ok := r.listeners[listener]; ok {
		return own
	}
	if r.local != nil && r.domains.Match(a) {
		return r.local
	}
	return r.nextHop
}

// deliver hands a message to the next hops of its recipients and returns what
// relay.Deliverer does.
func (r *routes) deliver(ctx context.Context, listener string, d relay.Delivery) (errs []error, relayed []bool) {
	indexes := make(map[*smtpclient.Client][]int)
	var order []*smtpclient.Client
	for i, to := range d.Recipients {
		hop := r.to(listener, to.Address)
		if indexes[hop] == nil {
			order = append(order, hop)
		}
		indexes[hop] = append(indexes[hop], i)
	}
	errs, relayed = make([]error, len(d.Recipients)), make([]bool, len(d.Recipients))
	for _, hop := range order {
		part := d
		part.Recipients = nil
		for _, i := range indexes[hop] {
			part.Recipients = append(part.Recipients, d.Recipients[i])
		}
		results, partRelayed := hop.Deliver(ctx, part)
		for n, i := range indexes[hop] {
			errs[i], relayed[i] = results[n], partRelayed[n]
		}
	}
	return errs, relayed
}

// close ends the idle connections.
func (r *routes) close() []error {
	var errs []error
	for _, c := range r.listeners {
		errs = append(errs, c.Close())
	}
	for _, c := range []*smtpclient.Client{r.nextHop, r.local} {
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	return errs
}
