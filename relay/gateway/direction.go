package gateway

import (
	"fmt"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/address"
)

// Direction says by which rules a recipient is judged. It follows from the recipient: one who is not of
// our domains is outside, whatever listener the message came by and whichever client sent
// it, and what is outside is reached by the outbound rules only. For our own
// recipients the listener and its client decide.
func (g *Gateway) Direction(env *relay.Envelope, to address.Address) enforce.Direction {
	l := g.listeners[env.Listener]
	switch {
	case !g.own(to) && !g.isPostmaster(to), l.Direction == "outbound", l.Direction == "auto" && l.entitled(env.Client):
		return enforce.Outbound
	}
	return enforce.Inbound
}

// isPostmaster reports whether a is whom RFC 5321 section 4.5.1 makes every
// server take mail for, whatever domain the host is in. A postmaster of another
// host is outside like all others there.
func (g *Gateway) isPostmaster(a address.Address) bool {
	return g.key(a) == g.key(g.Postmaster) && sameHost(a.Domain(), g.Hostname)
}

// split returns an envelope for the recipients of each direction; nil where there are
// none, and the envelope itself where all are of one, as most often.
func (g *Gateway) split(env *relay.Envelope) (out, in *relay.Envelope) {
	inbound := func(r relay.Recipient) bool { return g.Direction(env, r.Address) == enforce.Inbound }
	n := 0
	for _, r := range env.Recipients {
		if inbound(r) {
			n++
		}
	}
	switch n {
	case 0:
		return env, nil
	case len(env.Recipients):
		return nil, env
	}
	out, in = without(env), without(env)
	for _, r := range env.Recipients {
		part := out
		if inbound(r) {
			part = in
		}
		part.Recipients = append(part.Recipients, r)
		part.Others--
	}
	return out, in
}

// without is the envelope with all of its recipients counted as others.
func without(env *relay.Envelope) *relay.Envelope {
	e := *env
	e.Others, e.Recipients = env.Others+len(env.Recipients), nil
	return &e
}

// entitled reports whether a client may send in our name by listener l. Where no MTA
// stands before us, it must be named.
func (l Listener) entitled(c relay.Client) bool {
	if c.User != "" || l.Direction == "outbound" && len(l.Networks) == 0 && !l.Relay {
		return true
	}
	for _, n := range l.Networks {
		if n.Contains(c.Addr.Unmap()) {
			return true
		}
	}
	return false
}

// admit refuses what may not be sent to an outbound recipient at all. A listener
// for those who send takes mail from no one else; and a relay that took mail of
// strangers for strangers would be open (RFC 5321 section 3.6.2). By the other
// listeners an MTA has decided that before us, and the rules apply.
func (g *Gateway) admit(env *relay.Envelope, to address.Address) error {
	l, ok := g.listeners[env.Listener]
	switch {
	case !ok:
		// Removed while the message was on its way.
		return fault.New(fault.Internal, "the listener is being reconfigured, try again later",
			fmt.Errorf("listener: %q: not configured", env.Listener))
	case l.entitled(env.Client):
		return nil
	case l.Direction == "outbound":
		return fault.New(fault.Policy, "this client may not send mail here", nil)
	case l.Relay:
		return fault.New(fault.Policy, fmt.Sprintf("relaying to %s denied", to), nil)
	}
	return nil
}
