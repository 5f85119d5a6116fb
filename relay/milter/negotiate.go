package milter

import (
	"encoding/binary"
	"fmt"

	"github.com/emersion/go-milter"
)

// What we ask the MTA for. Without the needed actions there is no filter; of
// the rest we take what is offered. The library answers with its own bits
// whatever was offered, so ours are cut to the offer first.
const (
	needed = milter.OptAddHeader | milter.OptChangeHeader | milter.OptChangeBody | milter.OptRemoveRcpt
	wanted = milter.OptSetSymList | resend

	// No events that we have no use for, no answers where we never refuse,
	// and header values to the octet.
	protocol = milter.OptNoUnknown | milter.OptNoData |
		milter.OptNoConnReply | milter.OptNoHeloReply | milter.OptNoMailReply |
		milter.OptNoHeaderReply | milter.OptNoEOHReply | milter.OptNoBodyReply |
		milter.OptHeaderLeadingSpace
)

// macros are the ones we ask for. Postfix, by default, has no queue id before
// the second recipient, and never the authenticated user at the end.
var macros = map[milter.Stage][]string{
	milter.StageConnect:  {"j", "{daemon_name}", "{client_addr}"},
	milter.StageHelo:     {"{tls_version}", "{cipher}"},
	milter.StageMailFrom: {"i", "{auth_authen}", "{auth_type}", "{mail_addr}"},
	milter.StageRcptTo:   {"i", "{rcpt_addr}"},
	milter.StageEOM:      {"i"},
}

// options are what both sides agree on.
type options struct {
	actions  milter.OptAction
	protocol milter.OptProtocol
}

// negotiate looks at the MTA's offer, which the library then reads again.
func (c *conn) negotiate() (options, error) {
	if err := c.wait(c.server.config.Limits.Read, headerSize+12); err != nil {
		return options{}, err
	}
	offer, err := c.r.Peek(headerSize + 12)
	if err != nil {
		return options{}, err
	}
	return choose(offer)
}

// choose answers an offer: version, actions and protocol steps after the packet
// header.
func choose(offer []byte) (options, error) {
	n := binary.BigEndian.Uint32(offer)
	if n < 13 || n > maxPacket || offer[4] != byte(milter.CodeOptNeg) {
		return options{}, fmt.Errorf("packet %q of %d octets instead of option negotiation", offer[4], n)
	}
	actions := milter.OptAction(binary.BigEndian.Uint32(offer[9:]))
	steps := milter.OptProtocol(binary.BigEndian.Uint32(offer[13:]))
	if actions&needed != needed {
		return options{}, fmt.Errorf("the MTA offers the actions %#x, but %#x are required", actions, needed)
	}
	return options{actions: needed | wanted&actions, protocol: protocol & steps}, nil
}
