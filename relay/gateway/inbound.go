package gateway

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/tracing"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// processInbound verifies, decrypts and does what the inbound rules say. Without them
// it delivers in any case: a message that cannot be understood arrives as it came, with
// a status that says so. Only one for whose outermost layer our keys could not be asked
// waits: delivered, its recipient could not read it.
func (g *Gateway) processInbound(ctx context.Context, env *relay.Envelope, msg *message.Message) (*answer.Outcome, error) {
	o, err := g.inbound(ctx, env, msg, false)
	if err != nil {
		err = g.logRefusedMessage(ctx, env, msg, err)
	}
	return o, err
}

// inbound is processInbound for a message that comes in or is released from
// quarantine.
func (g *Gateway) inbound(ctx context.Context, env *relay.Envelope, msg *message.Message, released bool) (*answer.Outcome, error) {
	watch := g.stopwatch()
	in := g.arrive(ctx, env, msg, toCarryOut)
	groups := g.measured(in, g.openFor(ctx, in))
	watch.lap("decryption and verification")
	in.secret = g.Inbound.Decrypt && encrypted(in, groups)
	if err := in.unopened(relay.MemoryOf(ctx), groups); err != nil {
		return nil, err
	}
	if err := g.reserveForms(ctx, in); err != nil {
		return nil, err
	}
	o := &answer.Outcome{}
	groups = g.acted(in, groups, released)
	if !released {
		kept, err := g.challenged(ctx, in, groups, o)
		if err != nil {
			return nil, err
		}
		if kept {
			return o, nil
		}
	}
	if err := g.archiveSecret(in, groups, o); err != nil {
		return nil, err
	}
	for _, group := range groups {
		if err := g.act(ctx, in, group, o); err != nil {
			return nil, err
		}
	}
	watch.lap("delivery copies")
	for _, d := range in.decisions {
		d.Envelope, d.Size, d.Stages = env, msg.Size(), watch.done
		if released {
			d.Moment = OnHeld
		}
		g.decided(ctx, slog.LevelInfo, d)
	}
	return o, nil
}

// reserveForms reserves what the forms may take in which rules deliver a message that was
// encrypted: that there is no memory for the one that was decided would tell what
// decryption found. For others each form is reserved when it is made.
func (g *Gateway) reserveForms(ctx context.Context, in *arrival) error {
	if !in.secret {
		return nil
	}
	return in.reserve(ctx, g.copies(g.InboundPolicy.Copies(len(in.env.Recipients)), len(in.env.Recipients)))
}

// reserve reserves memory for copies of the message.
func (in *arrival) reserve(ctx context.Context, copies int64) error {
	if r := relay.MemoryOf(ctx); !r.Reserve(copies * int64(in.msg.Size())) {
		return relay.NoMemory(r, nil)
	}
	return nil
}

// unopened says why a message must wait: what was found may be another thing later. What
// was decrypted and cannot be opened further here is delivered as far as it was, even if it
// could be later, be it compressed or encrypted to a key that is away: a reply would tell
// what was in it.
func (in *arrival) unopened(memory relay.Reserver, groups []readers) error {
	for _, group := range groups {
		inside := in.secret && group.opened.Decrypted
		if cause := group.opened.KeyError; cause != nil && !inside {
			return fault.New(fault.Identity, "a key for this message cannot be reached now, try again later", cause)
		}
		if group.opened.NoMemory && !inside {
			return relay.NoMemory(memory, nil)
		}
	}
	return nil
}

// reason is what the log says of a recipient: the word of what was found with what was
// compared, how the message was opened, and more.
func (in *arrival) reason(r *smime.Report, to address.Address, more ...string) string {
	found := string(r.Reason)
	if r.Reason != "" && r.Detail != "" {
		found += ": " + ascii(r.Detail)
	}
	all := append([]string{found, in.notes[to.String()]}, more...)
	return strings.Join(slices.DeleteFunc(all, func(s string) bool { return s == "" }), "; ")
}

// inboundCopy makes the delivery for a group. note says what is not obvious from the
// rule.
func (g *Gateway) inboundCopy(in *arrival, group readers, o *answer.Outcome) (d relay.Delivery, note string, err error) {
	env := in.env
	opened, note := in.formed(group.opened, group.decided[0].Form)
	if !in.secret && group.archived() && opened.Message != in.msg {
		if err := g.archive(in, o); err != nil {
			return d, note, err
		}
	}
	if in.archived != "" {
		note = strings.TrimPrefix(note+"; original archived: "+in.archived, "; ")
	}
	if group.decided[0].Form.Layers != enforce.AsIs {
		opened = g.bannered(g.tagged(opened, group.decided[0].Action))
	}
	stamped, err := g.stamp(env, opened)
	if err != nil && in.secret {
		// A refusal would say that it was decrypted.
		stamped, err = g.stamp(env, in.undeliverable(opened))
	}
	d = relay.Delivery{
		Sender: env.Sender, Recipients: slices.Clone(group.recipients), Params: env.Params, Message: stamped,
		Listener: env.Listener, Direction: string(enforce.Inbound), Treatment: found(opened),
	}
	for i := range d.Recipients {
		d.Recipients[i].Rule = group.decided[i].Rule
	}
	if err == nil && in.secret {
		d, err = g.conceal(env, in.msg, d, group.decided[0].Silent)
	}
	return d, note, err
}

// undeliverable is the message as it came, because what was found in it cannot be
// delivered.
func (in *arrival) undeliverable(o *opened) *opened {
	r := o.Report
	r.Result, r.Reason, r.Signers = certs.PermError, smime.ReasonDecrypt, nil
	return in.opened(&smime.Opened{Message: in.msg, Report: r})
}

// found is what a message turned out to be.
func found(o *opened) relay.Treatment {
	t := relay.Treatment{Result: word(o.Report.Result), Encryption: "none", HiddenSubject: o.HidSubject()}
	switch {
	case o.encrypted:
		t.Encryption = "kept"
	case o.Decrypted:
		t.Encryption = "decrypted"
	}
	return t
}

// stamp removes what is forged and says what was found.
func (g *Gateway) stamp(env *relay.Envelope, o *opened) (*message.Message, error) {
	fields, err := statusFields(g.Hostname, o)
	if prefix := g.Inbound.CipherMail; err == nil && prefix != "" {
		var more []message.Field
		more, err = cipherMailFields(prefix, o)
		fields = append(fields, more...)
	}
	if err != nil {
		return nil, fault.New(fault.Internal, "internal error, try again later ("+env.ID+")", err)
	}
	stamped, err := o.Message.Apply(message.Change{
		Remove:  g.forged,
		Prepend: fields,
	})
	if err != nil {
		// Nothing that has bare CR or LF in it gets here from a sound MTA.
		return nil, fault.New(fault.Malformed, "the message is not well-formed", err)
	}
	if g.Inbound.HMACKey == nil {
		return stamped, nil
	}
	f, err := statusHMAC(g.Inbound.HMACKey, stamped)
	if err == nil {
		stamped, err = stamped.Apply(message.Change{Prepend: []message.Field{f}})
	}
	if err != nil {
		return nil, fault.New(fault.Internal, "internal error, try again later ("+env.ID+")", err)
	}
	return stamped, nil
}

// open does what the configuration asks for, decrypting with keys; nil decrypts
// nothing. weak decrypts old ciphers, too.
func (g *Gateway) open(ctx context.Context, in *arrival, keys certs.Keys, weak bool) *opened {
	if !g.Inbound.Verify && !g.Inbound.Decrypt {
		return in.opened(&smime.Opened{Message: in.msg, Report: unchecked(smime.Report{})})
	}
	ctx, span := tracing.Start(ctx, "open")
	defer span.End(nil)
	o := in.opened(smime.Open(ctx, in.msg, smime.OpenOptions{
		Keys: keys, Checker: g.Checker, Revocation: g.Inbound.Revocation, At: g.Clock(),
		Certificates: g.parsed, Signers: g.signers, DomainSigner: g.domainSigner, AllowWeak: weak,
		AllowSHA1: g.Inbound.AllowSHA1, AllowRSA1024: g.Inbound.AllowRSA1024, AllowBare: g.Inbound.AllowNoAttributes,
		Reserve: relay.MemoryOf(ctx).Reserve, Kind: &in.kind,
	}))
	if !g.Inbound.Verify {
		o.Report = unchecked(o.Report)
	}
	span.Text("result", string(o.Report.Result))
	return o
}

// unchecked says nothing of signatures.
func unchecked(r smime.Report) smime.Report {
	r.Result, r.Reason, r.Signers = certs.None, "not checked", nil
	return r
}
