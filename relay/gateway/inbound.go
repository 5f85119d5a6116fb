package gateway

import (
	"context"
	"slices"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/message"
)

// processInbound verifies and decrypts, and delivers in any case: a message
// that cannot be understood arrives as it came, with a status that says so. Only
// one for which our keys could not be asked waits: delivered, no one could read
// it any more.
func (g *Gateway) processInbound(ctx context.Context, env *relay.Envelope, msg *message.Message) (*answer.Outcome, error) {
	o := &answer.Outcome{}
	in := g.arrive(ctx, env, msg)
	groups := g.measured(in, g.openFor(ctx, in))
	secret := g.Inbound.Decrypt && encrypted(in, groups)
	for _, group := range groups {
		if cause := group.opened.KeyError; cause != nil {
			err := fault.New(fault.Identity, "a key for this message cannot be reached now, try again later", cause)
			g.logRefusedMessage(env, err)
			return nil, err
		}
		if group.opened.NoMemory {
			err := errNoMemory(nil)
			g.logRefusedMessage(env, err)
			return nil, err
		}
	}
	for _, group := range groups {
		d, err := g.inboundCopy(in, group, secret)
		if err != nil {
			g.logRefusedMessage(env, err)
			return nil, err
		}
		o.Deliveries = append(o.Deliveries, d)
		for _, r := range group.recipients {
			report := &group.opened.Report
			g.logDecision(env, enforce.Assigned{Address: r.Address}, string(report.Result), told(report, in.notes[r.Address.String()]))
		}
	}
	for i, group := range groups {
		o.Deliveries[i].Treatment = found(group.opened)
	}
	if g.Learn != nil {
		for _, group := range groups {
			g.Learn(&group.opened.Report)
		}
	}
	return o, nil
}

// told is the reason for the log: the word, what was compared or found, and how the
// message was opened.
func told(r *smime.Report, note string) string {
	reason := r.Reason
	if reason != "" && r.Detail != "" {
		reason += ": " + ascii(r.Detail)
	}
	if reason != "" && note != "" {
		reason += "; "
	}
	return reason + note
}

// inboundCopy makes the delivery for a group. secret says that the message was
// encrypted when it came in: then nothing that follows may depend on the result.
func (g *Gateway) inboundCopy(in *arrival, group readers, secret bool) (relay.Delivery, error) {
	env := in.env
	stamped, err := g.stamp(env, group.opened)
	if err != nil && secret {
		// A refusal would say that it was decrypted.
		stamped, err = g.stamp(env, in.undeliverable(group.opened))
	}
	d := relay.Delivery{Sender: env.Sender, Recipients: slices.Clone(group.recipients), Params: env.Params, Message: stamped}
	if err != nil || !secret {
		return d, err
	}
	return g.conceal(env, in.msg, d)
}

// undeliverable is the message as it came, because what was found in it cannot be
// delivered.
func (in *arrival) undeliverable(o *opened) *opened {
	r := o.Report
	r.Result, r.Reason, r.Signers = certs.PermError, "not-decryptable", nil
	return in.opened(&smime.Opened{Message: in.msg, Report: r})
}

// found is what a message turned out to be.
func found(o *opened) relay.Treatment {
	t := relay.Treatment{Result: word(o.Report.Result), Encryption: "none"}
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
	if err != nil {
		return nil, fault.New(fault.Internal, "internal error, try again later ("+env.ID+")", err)
	}
	stamped, err := o.Message.Apply(message.Change{
		Remove:  func(f message.Field) bool { return forged(f, g.Hostname) },
		Prepend: fields,
	})
	if err != nil {
		// Nothing that has bare CR or LF in it gets here from a sound MTA.
		return nil, fault.New(fault.Malformed, "the message is not well-formed", err)
	}
	return stamped, nil
}

// open does what the configuration asks for, decrypting with keys; nil decrypts
// nothing. weak decrypts old ciphers, too.
func (g *Gateway) open(ctx context.Context, in *arrival, keys certs.Keys, weak bool) *opened {
	if !g.Inbound.Verify && !g.Inbound.Decrypt {
		return in.opened(&smime.Opened{Message: in.msg, Report: unchecked(smime.Report{})})
	}
	o := in.opened(smime.Open(ctx, in.msg, smime.OpenOptions{
		Keys: keys, Checker: g.Checker, Revocation: g.Inbound.Revocation, At: g.Clock(),
		Certificates: g.parsed, Signers: g.signers, AllowWeak: weak,
		AllowSHA1: g.Inbound.AllowSHA1, AllowRSA1024: g.Inbound.AllowRSA1024, AllowBare: g.Inbound.AllowNoAttributes,
		Reserve: relay.Memory(ctx), Kind: &in.kind,
	}))
	if !g.Inbound.Verify {
		o.Report = unchecked(o.Report)
	}
	return o
}

// unchecked says nothing of signatures.
func unchecked(r smime.Report) smime.Report {
	r.Result, r.Reason, r.Signers = certs.None, "not checked", nil
	return r
}
