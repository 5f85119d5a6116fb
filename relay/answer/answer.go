package answer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Of returns the answer for an outcome by a listener that can do what can says. An
// error is the answer to all recipients instead, and then nothing may be handed on.
func Of(ctx context.Context, o *Outcome, env *relay.Envelope, msg *message.Message, can relay.Capabilities, reporter relay.Reporter) (*relay.Answer, error) {
	if err := check(env, o); err != nil {
		return nil, err
	}
	r := reports{reporter: reporter, env: env, msg: msg}
	var a *relay.Answer
	var err error
	if can.EachRecipient {
		a, err = forEach(ctx, o, env, r)
	} else {
		a, err = forAll(ctx, o, env, can, r)
	}
	if err != nil {
		return nil, err
	}
	for _, list := range []*[]relay.Delivery{&a.Store.Copies, &a.Store.Notices, &a.Notices, &a.Deliver} {
		*list = env.Named(*list...)
	}
	for i := range a.Store.Questions {
		a.Store.Questions[i].Origin = env.Origin()
	}
	if a.Edit != nil {
		a.Edit.Origin = env.Origin()
	}
	return a, nil
}

// forAll is the answer where there is one for all recipients: a temporary refusal
// defers the whole message, and a message that no recipient gets is refused, for
// otherwise it would vanish behind a 250. The sender gets a report of all others who
// are refused.
func forAll(ctx context.Context, o *Outcome, env *relay.Envelope, can relay.Capabilities, r reports) (*relay.Answer, error) {
	for _, refusal := range o.Refused {
		if relay.Temporary(refusal.Err) {
			return nil, o.forMessage(refusal.Err)
		}
	}
	if len(o.Deliveries)+len(o.Returned)+len(o.holds()) == 0 {
		return nil, o.forMessage(rejected(o))
	}
	report, err := r.on(ctx, o.Refused)
	if err != nil {
		return nil, err
	}
	a := &relay.Answer{Store: relay.Batch{Notices: join(join(o.Notices, report), o.Kept), Unreached: o.Unreached}}
	kind := relay.Queued
	if can.Edit != nil && o.single() && can.Edit(o.Deliveries[0]) {
		kind, a.Edit = relay.Edited, &o.Deliveries[0]
	} else {
		a.Store.Copies, a.Store.Held, a.Store.Quarantined = o.Deliveries, o.Held, o.Quarantined
		a.Store.Questions = o.Questions
	}
	a.Recipients = dispositions(o, env, func(string) relay.DispositionKind { return kind })
	return a, nil
}

// forMessage returns err as the answer for the whole message. Where the log has a
// refusal of each recipient by itself, it has this; where some are only refused because
// of others, it has not.
func (o *Outcome) forMessage(err error) error {
	f := *fault.Of(err)
	f.Logged = len(o.Deliveries)+len(o.Returned)+len(o.Stripped)+len(o.holds()) == 0 &&
		!slices.ContainsFunc(o.Refused, func(r relay.RecipientStatus) bool { return !fault.Of(cause(r.Err)).Logged })
	return &f
}

// single reports whether one copy is all that becomes of a message. With a message
// held it is not: the hold and the copy must be stored together.
func (o *Outcome) single() bool {
	return len(o.Deliveries) == 1 && !o.Deliveries[0].Silent() && !o.ByNextHop && len(o.holds()) == 0 && len(o.Expanded) == 0
}

// forEach is the answer where there is one for each recipient. What waits or belongs
// to a group is stored, and the rest is delivered while the client waits.
func forEach(ctx context.Context, o *Outcome, env *relay.Envelope, r reports) (*relay.Answer, error) {
	g, err := o.groups(env)
	if err != nil {
		return nil, err
	}
	report, err := r.on(ctx, g.unreported)
	if err != nil {
		return nil, err
	}
	a := &relay.Answer{}
	for _, d := range o.Deliveries {
		if d.Silent() {
			a.Store.Copies = append(a.Store.Copies, d)
			for _, r := range d.Recipients {
				g.stored[relay.Key(r.Address)] = true
			}
			continue
		}
		now, later := split(d, g.members)
		a.Deliver, a.Store.Copies = append(a.Deliver, now...), append(a.Store.Copies, later...)
	}
	a.Store.Held, a.Store.Quarantined, a.Store.Questions, a.Store.Unreached = o.Held, o.Quarantined, o.Questions, o.Unreached
	a.StoreFirst = len(o.Kept) > 0
	if notices := join(o.Notices, report); len(o.Expanded) > 0 || !a.Store.Empty() || a.StoreFirst {
		a.Store.Notices = join(notices, o.Kept)
	} else {
		a.Notices = notices
	}
	a.Recipients = dispositions(o, env, func(key string) relay.DispositionKind {
		if g.stored[key] {
			return relay.Queued
		}
		return relay.Delivered
	})
	for i, to := range env.Recipients {
		f := &a.Recipients[i]
		if err, ok := g.refused[relay.Key(to.Address)]; ok {
			*f = relay.Disposition{Kind: relay.Refused, Err: cause(err)}
		}
		if f.Kind == relay.Stripped && len(a.Notices)+len(a.Store.Notices) == 0 {
			*f = relay.Disposition{Kind: relay.Refused, Err: fault.New(fault.Policy, "recipient rejected by policy", nil)}
		}
	}
	return a, nil
}

// dispositions says what becomes of each recipient; of one who gets the message, given says
// how.
func dispositions(o *Outcome, env *relay.Envelope, given func(key string) relay.DispositionKind) []relay.Disposition {
	special := make(map[string]relay.Disposition)
	for _, x := range o.Expanded {
		special[relay.Key(x.Group)] = relay.Disposition{Kind: relay.Queued}
	}
	for _, r := range o.Refused {
		special[relay.Key(r.Recipient.Address)] = relay.Disposition{Kind: relay.Refused, Err: cause(r.Err)}
	}
	for _, a := range o.Stripped {
		special[relay.Key(a)] = relay.Disposition{Kind: relay.Stripped}
	}
	for _, a := range o.Returned {
		special[relay.Key(a)] = relay.Disposition{Kind: relay.Returned}
	}
	for _, h := range o.holds() {
		kind := relay.Held
		if h.Quarantined {
			kind = relay.Quarantined
		}
		for _, r := range h.Envelope.Recipients {
			special[relay.Key(r.Address)] = relay.Disposition{Kind: kind}
		}
	}
	all := make([]relay.Disposition, len(env.Recipients))
	for i, r := range env.Recipients {
		key := relay.Key(r.Address)
		f, ok := special[key]
		if !ok {
			f.Kind = given(key)
		}
		all[i] = f
	}
	return all
}

// cause is a refusal's error; a refusal must have one.
func cause(err error) error {
	if err == nil {
		return fault.Of(errors.New("rejected without an error"))
	}
	return err
}

// rejected is the answer for a message whose recipients are all refused or
// stripped. One refusal keeps its code.
func rejected(o *Outcome) error {
	if len(o.Refused) == 1 && len(o.Stripped) == 0 {
		return cause(o.Refused[0].Err)
	}
	var texts []string
	for _, r := range o.Refused {
		texts = append(texts, relay.ReplyFor(r.Err).Text)
	}
	for _, a := range o.Stripped {
		texts = append(texts, fmt.Sprintf("<%s>", a))
	}
	if len(texts) == 0 {
		return fault.Of(errors.New("outcome without a recipient"))
	}
	return fault.New(fault.Policy, "all recipients rejected by policy: "+strings.Join(texts, "; "), nil)
}

// reports makes the report on recipients of a message.
type reports struct {
	reporter relay.Reporter
	env      *relay.Envelope
	msg      *message.Message
}

// on reports refused recipients to the sender; nothing where no report is wanted.
func (r reports) on(ctx context.Context, refused []relay.RecipientStatus) ([]relay.Delivery, error) {
	if len(refused) == 0 {
		return nil, nil
	}
	d := relay.Delivery{Sender: r.env.Sender, Params: r.env.Params, Message: r.msg, Listener: r.env.Listener}
	report, ok, err := r.reporter.Report(ctx, d, relay.Event{Kind: relay.Failed, About: refused})
	switch {
	case err != nil:
		return nil, fault.Of(err)
	case !ok:
		return nil, nil
	}
	return []relay.Delivery{report}, nil
}

func join(a, b []relay.Delivery) []relay.Delivery { return append(a[:len(a):len(a)], b...) }
