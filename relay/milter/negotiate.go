package milter

import (
	"encoding/binary"
	"fmt"

	"github.com/emersion/go-milter"
)

// What we ask the MTA for. Without the needed actions there is no filter; of
// the rest we take what is offered.
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

// wantedMacros are the ones we ask for. Postfix, by default, has no queue id before
// the second recipient, and never the authenticated user at the end.
var wantedMacros = []struct {
	stage milter.Stage
	names string
}{
	{milter.StageConnect, "j {daemon_name} {client_addr}"},
	{milter.StageHelo, "{tls_version} {cipher}"},
	{milter.StageMailFrom, "i {auth_authen} {auth_type} {mail_addr}"},
	{milter.StageRcptTo, "i {rcpt_addr}"},
	{milter.StageEOM, "i"},
}

// version is the one of the protocol that is answered; every MTA knows it, and what
// later ones added goes by the bits of the offer.
const version = 2

// options are what both sides agree on.
type options struct {
	actions  milter.OptAction
	protocol milter.OptProtocol
}

// negotiate answers the MTA's offer.
func (c *conn) negotiate() (options, error) {
	if err := c.wait(c.server.config.Limits.Read, lengthSize); err != nil {
		return options{}, err
	}
	p, err := c.next()
	if err != nil {
		return options{}, err
	}
	o, err := choose(p)
	if err != nil {
		return options{}, err
	}
	return o, c.writePacket(o.packet())
}

// choose answers an offer: version, actions and protocol steps.
func choose(p packet) (options, error) {
	if len(p.data) < 12 || p.code != byte(milter.CodeOptNeg) {
		return options{}, fmt.Errorf("packet %q of %d octets instead of an offer", p.code, len(p.data)+1)
	}
	actions := milter.OptAction(binary.BigEndian.Uint32(p.data[4:]))
	steps := milter.OptProtocol(binary.BigEndian.Uint32(p.data[8:]))
	if actions&needed != needed {
		return options{}, fmt.Errorf("the MTA offers the actions %#x, but %#x are required", actions, needed)
	}
	return options{actions: needed | wanted&actions, protocol: protocol & steps}, nil
}
