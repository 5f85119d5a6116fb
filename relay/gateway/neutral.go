package gateway

import (
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/address"
)

// notDelivered is all that a sender hears of why.
const notDelivered = "the mail system of the recipient did not accept the message"

// neutral makes the event of a delivery that has a Secret one that may be reported:
// to the sender that the message came from, about the recipients as they were named,
// without what the next hop said.
func neutral(d relay.Delivery, e relay.Event) (relay.Delivery, relay.Event) {
	o := d.Secret
	about := make([]relay.RecipientStatus, len(e.About))
	for i, r := range e.About {
		about[i] = relay.RecipientStatus{Recipient: named(o, r.Recipient), Err: fault.New(fault.Refused, notDelivered, r.Err)}
	}
	e.About = about
	d.Sender, d.Params.EnvID = o.Sender, o.EnvelopeID
	return d, e
}

// named is a recipient as the sender named it.
func named(o *relay.Secret, r relay.Recipient) relay.Recipient {
	if i := find(o, r.Address); i >= 0 {
		return o.To[i]
	}
	return r
}

// find returns the place of a recipient in the Secret, -1 if it is none.
func find(o *relay.Secret, a address.Address) int {
	for i, to := range o.To {
		if to.Address.Equal(a, address.IgnoreCase) {
			return i
		}
	}
	return -1
}
