package answer

import (
	"errors"
	"fmt"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/address"
)

// check reports an outcome that forgets a recipient, has one twice, or invents
// one. For a group that was expanded its members count, each once, however many
// groups they are in and whether the envelope names them too. Such an outcome must
// not be answered with 250.
func check(env *relay.Envelope, o *Outcome) error {
	if o == nil || len(env.Recipients) == 0 {
		return fault.Of(errors.New("no outcome, or no recipient to have one"))
	}
	open := make(map[string]bool, len(env.Recipients))
	for _, r := range env.Recipients {
		open[relay.Key(r.Address)] = true
	}
	if err := expand(open, o.Expanded); err != nil {
		return fault.Of(err)
	}
	for _, a := range o.recipients() {
		if !open[relay.Key(a)] {
			return fault.Of(fmt.Errorf("recipient %q: twice in the outcome, or not in the envelope", a))
		}
		delete(open, relay.Key(a))
	}
	for k := range open {
		return fault.Of(fmt.Errorf("recipient %q: not in the outcome", k))
	}
	return nil
}

// expand puts members in the place of groups in a set of recipients.
func expand(open map[string]bool, expanded []Expansion) error {
	for _, x := range expanded {
		if !open[relay.Key(x.Group)] {
			return fmt.Errorf("group %q: expanded twice, or not in the envelope", x.Group)
		}
		if len(x.Members) == 0 {
			return fmt.Errorf("group %q: expanded to no member", x.Group)
		}
		delete(open, relay.Key(x.Group))
	}
	for _, x := range expanded {
		for _, m := range x.Members {
			open[relay.Key(m)] = true
		}
	}
	return nil
}

// recipients returns all recipients in an outcome, but not those of notices.
func (o *Outcome) recipients() []address.Address {
	var all []address.Address
	for _, d := range o.Deliveries {
		for _, r := range d.Recipients {
			all = append(all, r.Address)
		}
	}
	for _, r := range o.Refused {
		all = append(all, r.Recipient.Address)
	}
	for _, h := range o.holds() {
		for _, r := range h.Envelope.Recipients {
			all = append(all, r.Address)
		}
	}
	return append(append(all, o.Stripped...), o.Returned...)
}
