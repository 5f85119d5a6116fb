package wiretest

import (
	"fmt"

	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
)

// AddHeld makes a recipient of an outcome one who waits.
func AddHeld(o *answer.Outcome, env *relay.Envelope, r relay.Recipient) {
	if o.Held == nil {
		o.Held = &relay.Hold{Envelope: *env}
		o.Held.Envelope.Recipients = nil
	}
	o.Held.Envelope.Recipients = append(o.Held.Envelope.Recipients, r)
	o.Held.Reasons = append(o.Held.Reasons, "no certificate")
}

// HeldRecipients returns for whom a sink holds messages, in order.
func (s *Sink) HeldRecipients() string {
	all := []string{}
	for _, h := range s.Held() {
		for _, r := range h.Envelope.Recipients {
			all = append(all, r.Address.String())
		}
	}
	return fmt.Sprint(all)
}
