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
	// facts are what rules may ask of it as it came; empty where no rule asks.
	facts enforce.Facts
	// secret says that the message was encrypted when it came in: then nothing that the
	// outside learns may depend on what was found.
	secret bool
	// demands are the rules that ask something of the message, by recipient; nil where
	// it makes no difference what they ask.
	demands map[string][]enforce.Demand
	// archived is where the message as it came was stored; "" if it was not.
	archived string
	// notes say by recipient what is unusual of how the message was opened.
	notes map[string]string
	// decisions are those on its recipients, noted once all of it could be done.
	decisions []Decision
}

// log notes a decision on a recipient of a group.
func (in *arrival) log(group readers, decided enforce.InboundDecision, d Decision) {
	a := decided.Assigned
	d.Assigned, d.Steps, d.Decided = a, inboundSteps(group), decided.Treatment()
	d.Treatment = found(group.opened)
	if id := relay.MessageID(group.opened.Message); d.Treatment.HiddenSubject && id != relay.MessageID(in.msg) {
		d.ProtectedID = id
	}
	f := in.facts
	f.Found, f.Recipients = group.found, in.recipients([]relay.Recipient{{Address: a.Address}})
	for _, s := range f.Found.Signers {
		d.Certificates = append(d.Certificates, s.Fingerprint)
	}
	d.Treatment.Cipher, d.Facts = f.Found.Cipher, only(&f, 0)
	in.decisions = append(in.decisions, d)
}

// inboundSteps are what is done with the message for a group, for people.
func inboundSteps(group readers) []string {
	d := group.decided[0]
	switch d.Action {
	case enforce.Reject:
		return []string{"reject"}
	case enforce.Quarantine:
		return []string{"keep in quarantine"}
	}
	var all []string
	if found(group.opened).Encryption == "decrypted" {
		all = append(all, "decrypt")
	}
	if d.Form.Layers == enforce.AsIs {
		all = append(all, "leave in its form")
	}
	if d.Action == enforce.Tag {
		all = append(all, "tag the subject")
	}
	return append(all, "add the status")
}

// arrive looks at an inbound message. An explanation names the rules also where none of
// them asks anything.
func (g *Gateway) arrive(ctx context.Context, env *relay.Envelope, msg *message.Message, what purpose) *arrival {
	in := &arrival{env: env, msg: msg, kind: smime.Inspect(msg), notes: make(map[string]string)}
	asked := g.Inbound.Verify && (g.hasMinimum() || what.explains()) || g.Inbound.Decrypt && g.anyReadsWeak()
	if asked || !g.InboundPolicy.Empty() || g.Decided != nil {
		in.facts = g.inboundFacts(ctx, in)
	}
	if asked {
		in.demands = g.demands(ctx, in)
	}
	return in
}

// inboundFacts are what rules may ask of an inbound message as it came. What cannot
// be read of it may be anything: it is no reason to refuse it.
func (g *Gateway) inboundFacts(ctx context.Context, in *arrival) enforce.Facts {
	f := g.envelopeFacts(in.env, enforce.Inbound)
	var err error
	if f.Content, err = g.content(ctx, in.env, enforce.Inbound, in.msg, &in.kind); err != nil {
		f.Content = g.headerContent(in.msg)
		f.Content.Attachments = []enforce.Attachment{{Unread: true}}
	}
	if f.From, err = in.msg.Addresses("From"); err != nil {
		f.From = nil
	}
	if groups := g.InboundPolicy.Groups(&f); groups != nil {
		g.findMemberships(ctx, &f, nil, groups)
	}
	return f
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
