package wire

import (
	"errors"
	"fmt"
	"strings"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Key names a recipient of one envelope. The local part is compared octet by
// octet: only the receiving host knows whether two spellings are one mailbox.
func Key(a address.Address) string { return a.Key(address.ExactCase) }

// Check reports an outcome that forgets a recipient, has one twice, or invents
// one. For a group that was expanded its members count, each once, however many
// groups they are in and whether the envelope names them too. Whoever gets such
// an outcome must not answer 250.
func Check(env *relay.Envelope, o *relay.Outcome) error {
	if o == nil || len(env.Recipients) == 0 {
		return fault.Of(errors.New("no outcome, or nobody to have one"))
	}
	open := make(map[string]bool, len(env.Recipients))
	for _, r := range env.Recipients {
		open[Key(r.Address)] = true
	}
	if err := expand(open, o.Expanded); err != nil {
		return fault.Of(err)
	}
	for _, a := range recipients(o) {
		if !open[Key(a)] {
			return fault.Of(fmt.Errorf("recipient %q: twice in the outcome, or not in the envelope", a))
		}
		delete(open, Key(a))
	}
	for k := range open {
		return fault.Of(fmt.Errorf("recipient %q: not in the outcome", k))
	}
	return nil
}

// expand puts members in the place of groups in a set of recipients.
func expand(open map[string]bool, expanded []relay.Expansion) error {
	for _, x := range expanded {
		if !open[Key(x.Group)] {
			return fmt.Errorf("group %q: expanded twice, or not in the envelope", x.Group)
		}
		if len(x.Members) == 0 {
			return fmt.Errorf("group %q: expanded to nobody", x.Group)
		}
		delete(open, Key(x.Group))
	}
	for _, x := range expanded {
		for _, m := range x.Members {
			open[Key(m)] = true
		}
	}
	return nil
}

// recipients returns everyone an outcome speaks of, but not those of notices.
func recipients(o *relay.Outcome) []address.Address {
	var all []address.Address
	for _, d := range o.Deliveries {
		for _, r := range d.Recipients {
			all = append(all, r.Address)
		}
	}
	for _, r := range o.Refused {
		all = append(all, r.Recipient.Address)
	}
	if o.Held != nil {
		for _, r := range o.Held.Envelope.Recipients {
			all = append(all, r.Address)
		}
	}
	return append(append(all, o.Stripped...), o.Returned...)
}

// Settle turns an outcome into what a door with one answer for all recipients
// stores beside the deliveries: the notices, and a report of the refused
// recipients. An error is the answer instead, and then nothing may be handed
// on: a temporary refusal defers the whole message, and a message that nobody
// gets is refused, for otherwise it would vanish behind a 250.
func Settle(h relay.Handler, env *relay.Envelope, msg *message.Message, o *relay.Outcome) ([]relay.Delivery, error) {
	if err := Check(env, o); err != nil {
		return nil, err
	}
	for _, r := range o.Refused {
		if Temporary(r.Err) {
			return nil, r.Err
		}
	}
	if len(o.Deliveries)+len(o.Returned) == 0 && o.Held == nil {
		return nil, nobodyLeft(o)
	}
	all := make(map[string]bool)
	for _, r := range o.Refused {
		all[Key(r.Recipient.Address)] = true
	}
	report, err := reportOn(h, env, msg, o, all)
	return append(o.Notices[:len(o.Notices):len(o.Notices)], report...), err
}

// nobodyLeft is the answer for a message whose recipients are all refused or
// stripped. One refusal keeps its code.
func nobodyLeft(o *relay.Outcome) error {
	if len(o.Refused) == 1 && len(o.Stripped) == 0 {
		return o.Refused[0].Err
	}
	var texts []string
	for _, r := range o.Refused {
		texts = append(texts, Reply(r.Err).Text)
	}
	for _, a := range o.Stripped {
		texts = append(texts, fmt.Sprintf("<%s> may not get this message", a))
	}
	if len(texts) == 0 {
		return fault.Of(errors.New("outcome without a recipient"))
	}
	return fault.New(fault.Policy, "no recipient is left: "+strings.Join(texts, "; "), nil)
}
