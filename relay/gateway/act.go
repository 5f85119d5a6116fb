package gateway

import (
	"cmp"
	"context"
	"slices"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/smime"
)

// acted asks the inbound rules about each group, and parts its recipients by what is
// to be done. Those for whom nothing differs share a copy. released says that an
// administrator released the message from quarantine.
func (g *Gateway) acted(in *arrival, groups []readers, released bool) []readers {
	var all []readers
	for _, group := range groups {
		f := in.facts
		group.found = in.found(group.opened)
		f.Found = group.found
		f.Recipients = in.recipients(group.recipients)
		all = append(all, group.by(g.InboundPolicy.Decide(&f), released)...)
	}
	return all
}

// recipients are the facts about some of the recipients, who are most often in their
// order.
func (in *arrival) recipients(group []relay.Recipient) []enforce.RecipientFacts {
	known, at := in.facts.Recipients, 0
	facts := make([]enforce.RecipientFacts, len(group))
	for i, r := range group {
		facts[i] = enforce.RecipientFacts{Address: r.Address, Internal: true}
		for range known {
			next := &known[at]
			if at = (at + 1) % len(known); next.Address == r.Address {
				facts[i] = *next
				break
			}
		}
	}
	return facts
}

// handling is what recipients must share to share a copy.
type handling struct {
	action enforce.Action
	form   enforce.Form
	silent bool
}

// by parts a group by what is decided for its recipients. What an administrator
// released is delivered, in the form that the rule says.
func (r readers) by(decided []enforce.InboundDecision, released bool) []readers {
	var all []readers
	index := make(map[handling]int)
	for i, d := range decided {
		if released && d.Action >= enforce.Quarantine {
			d.Action = enforce.Tag // what was kept back says why, if any mail does
			d.Archive = d.Archive || d.Form.Original == enforce.OriginalArchived
		}
		key := handling{d.Action, d.Form, d.Silent}
		at, ok := index[key]
		if !ok {
			at = len(all)
			index[key] = at
			all = append(all, readers{opened: r.opened, demands: r.demands, found: r.found})
		}
		all[at].recipients = append(all[at].recipients, r.recipients[i])
		all[at].decided = append(all[at].decided, d)
	}
	return all
}

// found is what was found in a message, for the inbound rules.
func (in *arrival) found(o *opened) enforce.Found {
	r := &o.Report
	f := enforce.Found{
		Result: word(r.Result), Reason: string(r.Reason),
		Signed:    slices.Contains(r.Layers, "signed") || len(r.Signers) > 0,
		Encrypted: r.Encryption != nil || in.kind.Encrypted,
		Secret:    in.secret,
	}
	if r.Encryption != nil {
		f.Cipher = string(r.Encryption.Cipher)
		f.Algorithms = append(f.Algorithms, f.Cipher)
	}
	if s := deciding(r); s != nil {
		f.Chain = cmp.Or(s.Chain, "unchecked")
	}
	for i := range r.Signers {
		s := &r.Signers[i]
		f.Algorithms = append(f.Algorithms, s.Digest, string(s.Signature))
		if r.Result == certs.Pass && s.Result == certs.Pass && s.Certificate != nil {
			f.Signers = append(f.Signers, foundSigner(s))
		}
	}
	return f
}

func foundSigner(s *smime.Signer) enforce.FoundSigner {
	return enforce.FoundSigner{Addresses: certs.Addresses(s.Certificate), Fingerprint: fingerprint(s.Certificate)}
}

// act does with a message what the inbound rules say for a group.
func (g *Gateway) act(ctx context.Context, in *arrival, group readers, o *answer.Outcome) error {
	switch group.decided[0].Action {
	case enforce.Reject:
		in.reject(group, o)
		return nil
	case enforce.Quarantine:
		return g.quarantine(ctx, in, group, o)
	}
	if !in.secret { // see reserveForms
		if err := in.reserve(ctx, g.copies(group.decided[0].Form.Copies(), 1)); err != nil {
			return err
		}
	}
	d, note, err := g.inboundCopy(in, group, o)
	if err != nil {
		return err
	}
	o.Deliveries = append(o.Deliveries, d)
	report := &group.opened.Report
	if g.Learn != nil {
		g.Learn(report)
	}
	g.answered(group.opened.Message)
	for _, decision := range group.decided {
		in.log(group, decision, Decision{
			Outcome: string(report.Result), Reason: in.reason(report, decision.Address, decision.Note, note, decision.Report),
		})
	}
	return nil
}

// reject refuses a message for a group.
func (in *arrival) reject(group readers, o *answer.Outcome) {
	for i, d := range group.decided {
		err := rejection(d)
		o.Refused = append(o.Refused, relay.RecipientStatus{Recipient: group.recipients[i], Err: err})
		outcome := "refused"
		if d.Temporary {
			outcome = "deferred"
		}
		in.log(group, d, Decision{Outcome: outcome, Reason: d.Reason, Cause: fault.Policy.String()})
	}
}

// rejection is the error for a recipient from whom an inbound rule keeps a message.
func rejection(d enforce.InboundDecision) error {
	if d.Temporary {
		return fault.Logged(fault.New(fault.Unavailable, "message deferred: "+d.Reason, nil))
	}
	return fault.Logged(fault.New(fault.Policy, "message rejected by policy: "+d.Reason, nil))
}
