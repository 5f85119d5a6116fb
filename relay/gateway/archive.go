package gateway

import (
	"slices"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/smime/address"
)

// archiveSecret archives a message that was encrypted if a rule may say so, whatever was
// found in it: that it cannot be archived now would tell.
func (g *Gateway) archiveSecret(in *arrival, groups []readers, o *answer.Outcome) error {
	for _, group := range groups {
		if in.secret && group.archived() {
			return g.archive(in, o)
		}
	}
	return nil
}

// archived reports whether the rules have the message archived for some of a group.
func (r readers) archived() bool {
	return slices.ContainsFunc(r.decided, func(d enforce.InboundDecision) bool { return d.Archive })
}

// archive stores the message as it came, once. The error says that it has to wait: what
// is delivered is not what came.
func (g *Gateway) archive(in *arrival, o *answer.Outcome) error {
	if in.archived != "" {
		return nil
	}
	if g.Archive == nil {
		in.archived = "to " + g.ArchiveTo.String()
		if !slices.ContainsFunc(in.env.Recipients, func(r relay.Recipient) bool { return r.Address.Equal(g.ArchiveTo, address.IgnoreCase) }) {
			o.Kept = append(o.Kept, g.archiveCopy(in))
		}
		return nil
	}
	place, err := g.Archive(in.msg)
	if err != nil {
		return fault.New(fault.Capacity, "the message cannot be archived now, try again later", err)
	}
	in.archived = place
	return nil
}

// archiveCopy is the message as it came for the archive. What becomes of it is the
// postmaster's business, not the sender's.
func (g *Gateway) archiveCopy(in *arrival) relay.Delivery {
	params := in.env.Params
	params.Return, params.EnvID = "HDRS", ""
	return relay.Delivery{
		Sender: g.Postmaster, Recipients: []relay.Recipient{{Address: g.ArchiveTo, Notify: []string{"FAILURE"}}},
		Params: params, Message: in.msg, Listener: in.env.Listener,
	}
}
