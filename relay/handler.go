package relay

import (
	"context"

	"github.com/smimerelay/smimerelay/smime/message"
)

// Handler decides on messages for the listeners. *gateway.Gateway is the one
// implementation; listeners know this interface only.
type Handler interface {
	// Recipient is asked when a recipient is named. Nil accepts it for now; an
	// error, for ReplyFor, refuses it while the client waits. env has the
	// recipients accepted so far.
	Recipient(ctx context.Context, env *Envelope, r Recipient) error
	// Process does the whole work on a message, and says what a listener with these
	// capabilities has to do and to answer. An error, for ReplyFor, is the
	// answer for all recipients: then nothing may be handed on.
	Process(ctx context.Context, env *Envelope, msg *message.Message, can Capabilities) (*Answer, error)
}

// Decider decides on what is in the queue already.
type Decider interface {
	Reporter
	// Reconsider decides again on a message that is held. The batch has what can
	// leave now, the reports to the sender, and in Held those who wait on: all of it
	// belongs into one transaction. An error says why nothing could be decided now.
	Reconsider(ctx context.Context, h Hold, order Order) (Batch, error)
	// Generation is a number that changes when certificates become known: then all
	// messages that are held are due.
	Generation(ctx context.Context) (int64, error)
}

// Reporter makes delivery status notifications (RFC 3464).
type Reporter interface {
	// Report tells the sender of d of an event. ok is false when no report is
	// wanted (null sender, NOTIFY).
	Report(ctx context.Context, d Delivery, e Event) (report Delivery, ok bool, err error)
}

// RecipientStatus is what became of a recipient (RFC 3464 section 2.3). Err is one
// that ReplyFor understands, nil where nothing failed.
type RecipientStatus struct {
	Recipient Recipient
	Err       error
}
