package gateway

import (
	"crypto/subtle"
	"strings"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/message"
)

// required refuses a message without the field that its listener asks for, and takes the
// field out of all others: its value may be known to the client and to us alone. A field
// that is there twice is refused, since another sender may have written one of the two.
func (g *Gateway) required(env *relay.Envelope, msg *message.Message) (*message.Message, error) {
	want := g.listeners[env.Listener].Required
	if want == "" {
		return msg, nil
	}
	name, value, _ := strings.Cut(want, ":")
	found := msg.All(name)
	if len(found) != 1 || subtle.ConstantTimeCompare([]byte(strings.TrimSpace(found[0])), []byte(strings.TrimSpace(value))) != 1 {
		return nil, fault.New(fault.Policy, "this client may not send mail here: the message lacks the right "+name, nil)
	}
	return msg.Apply(message.Change{Remove: message.Named(name)})
}
