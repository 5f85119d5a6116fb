package smtpd

import (
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/internal/wire"
)

// The link answers some commands without the library.

func line(r fault.Reply) string { return wire.Line(r) + "\r\n" }

// refusal is the line that refuses a command.
func (l *link) refusal(err error) string {
	return line(wire.Answer(err, l.client.server.config.Contact, ""))
}

// closing is the last line on a connection that the server ends.
func closing(why fault.Detail, text string) string {
	return line(relay.ReplyFor(fault.Narrow(fault.Internal, why, text, nil)))
}
