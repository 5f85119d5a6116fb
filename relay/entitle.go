package relay

import (
	"context"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/address"
)

// entitlement finds out whether the client may have mail signed as from. The
// directory is asked only where its word can help.
func (g *Gateway) entitlement(ctx context.Context, f *enforce.Facts, from address.Address) {
	if g.Entitlements.MaySign(f.Client, from) {
		return
	}
	forbidden := "this client may not send as " + from.String()
	if !g.Entitlements.Lists(f.Client) {
		f.SignForbidden = forbidden
		return
	}
	listed := g.listed(ctx, f.Client.User)
	switch {
	case !listed.Told:
		f.SignUnknown = "cannot find out now whether this client may send as " + from.String()
	case !listed.Has(from):
		f.SignForbidden = forbidden
	}
}

func (g *Gateway) listed(ctx context.Context, user string) enforce.ListedFacts {
	if g.Groups == nil {
		return enforce.ListedFacts{}
	}
	list, err := g.Groups.AddressesOf(ctx, user)
	return enforce.ListedFacts{Told: err == nil, Addresses: list}
}
