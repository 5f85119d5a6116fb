package gateway

import (
	"context"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/message"
)

// arrival is an inbound message with what is known of it as it came: it is looked at
// once, and the rules are asked once.
type arrival struct {
	env  *relay.Envelope
	msg  *message.Message
	kind smime.Kind
	// demands are the rules that ask something of the message, by recipient.
	demands map[string][]enforce.Demand
	// notes say by recipient what is unusual of how the message was opened.
	notes map[string]string
}

// arrive looks at an inbound message.
func (g *Gateway) arrive(ctx context.Context, env *relay.Envelope, msg *message.Message) *arrival {
	in := &arrival{env: env, msg: msg, kind: smime.Inspect(msg), notes: make(map[string]string)}
	if g.Inbound.Verify || g.Inbound.Decrypt && g.anyReadsWeak() {
		in.demands = g.demands(ctx, in)
	}
	return in
}

// opened is what became of an inbound message for some of its recipients.
type opened struct {
	smime.Opened
	// encrypted says that Message is encrypted, still or again.
	encrypted bool
}

// opened returns o with whether its message is encrypted. Only what was decrypted is
// looked at: the rest is as it came.
func (in *arrival) opened(o *smime.Opened) *opened {
	if o.Decrypted {
		return &opened{*o, smime.Inspect(o.Message).Encrypted}
	}
	return &opened{*o, in.kind.Encrypted}
}
