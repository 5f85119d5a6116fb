package gateway

import (
	"crypto/rand"
	"slices"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/relay/dsn"
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
		kept, err := g.archiveCopy(in)
		if err != nil {
			return fault.New(fault.Malformed, "the message is not well-formed", err)
		}
		in.archived = "to " + g.ArchiveTo.String()
		o.Kept = append(o.Kept, kept)
		return nil
	}
	place, err := g.Archive(in.msg)
	if err != nil {
		return fault.New(fault.Capacity, "the message cannot be archived now, try again later", err)
	}
	in.archived = place
	return nil
}

// archiveCopy is a message for the archive with the one in it as it came: in a mailbox,
// what a stranger wrote in a header must not be taken for the gateway's. The archive gets
// it even where it is a recipient, too: what is delivered is not what came. What becomes
// of it is the postmaster's business, not the sender's.
func (g *Gateway) archiveCopy(in *arrival) (relay.Delivery, error) {
	m, err := dsn.BuildArchived(dsn.Archived{
		ID: rand.Text(), Hostname: g.Hostname, From: g.Postmaster, To: g.ArchiveTo, Now: g.Clock(),
		Received: in.env.ID, Original: in.msg,
	})
	if err != nil {
		return relay.Delivery{}, err
	}
	params := in.env.Params
	params.Return, params.EnvID = "HDRS", ""
	return relay.Delivery{
		Sender: g.Postmaster, Recipients: []relay.Recipient{{Address: g.ArchiveTo, Notify: []string{"FAILURE"}}},
		Params: params, Message: m, Listener: in.env.Listener,
	}, nil
}
