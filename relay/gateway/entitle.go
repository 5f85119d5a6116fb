package gateway

import (
	"context"
	"fmt"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/address"
)

// maySend reports whether the client may send as a local author by its
// listener. A message that came in from outside and leads outside, by an alias or
// a forward, bears whatever name its sender chose: it is never signed in it.
func (g *Gateway) maySend(env *relay.Envelope, f *enforce.Facts) bool {
	l, ok := g.listeners[env.Listener]
	switch {
	case !ok:
		// Of what is held, the listener may be gone.
		f.SignUnknown = fmt.Sprintf("cannot tell whether this client may send as %s: listener %q is not configured", f.From[0], env.Listener)
	case !l.entitled(env.Client):
		f.SignForbidden = fmt.Sprintf("this client may not send as %s: not authenticated, and not in networks of listener %q", f.From[0], env.Listener)
	default:
		return true
	}
	return false
}

// entitlement finds out whether a client may have mail signed as from: it says why it
// may not, or why that is unknown. The directory is asked only where its word can help.
func (g *Gateway) entitlement(ctx context.Context, client enforce.Client, from address.Address) (forbidden, unknown string) {
	if g.Entitlements.MaySign(client, from) {
		return "", ""
	}
	forbidden = "this client may not send as " + from.String()
	if !g.Entitlements.Lists(client) {
		return forbidden, ""
	}
	listed := g.listed(ctx, client.User)
	switch {
	case !listed.Known:
		return "", "cannot look up now whether this client may send as " + from.String()
	case !listed.Has(from):
		return forbidden, ""
	}
	return "", ""
}

func (g *Gateway) listed(ctx context.Context, user string) enforce.ListedFacts {
	if g.Groups == nil {
		return enforce.ListedFacts{}
	}
	list, err := g.Groups.AddressesOf(ctx, user)
	return enforce.ListedFacts{Known: err == nil, Addresses: list}
}
