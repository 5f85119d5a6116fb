package wire

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/message"
)

// maxHops is how many Received fields a message may have before we take it to
// be in a loop (RFC 5321 section 6.3 says at least 100 for a simple count; a
// gateway sits among a few servers of one site, and a loop costs a signature
// and a directory search a round).
const maxHops = 50

// CheckLoop refuses a message that has come by too often.
func CheckLoop(m *message.Message) error {
	hops := 0
	for _, f := range m.Fields() {
		if strings.EqualFold(f.Name, "Received") {
			hops++
		}
	}
	if hops <= maxHops {
		return nil
	}
	return fault.Narrow(fault.Policy, fault.Looping, "too many hops: the message is in a loop", nil)
}

// Received is the trace field of the server that takes responsibility for a message
// (RFC 5321 section 4.4): by is our name, with the protocol, id what the
// message is found by in a log.
func Received(env *relay.Envelope, by, with, id string, at time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Received: from %s", heloName(env.Client.Helo))
	if env.Client.Addr.IsValid() {
		fmt.Fprintf(&b, " (%s)", addressLiteral(env.Client.Addr))
	}
	fmt.Fprintf(&b, "\r\n\tby %s (smimerelay) with %s id %s", by, with, id)
	if len(env.Recipients) == 1 && env.Recipients[0].Address.ASCII() {
		// Only one: the field is read by all recipients, hidden ones included.
		fmt.Fprintf(&b, "\r\n\tfor <%s>", env.Recipients[0].Address)
	}
	fmt.Fprintf(&b, ";\r\n\t%s\r\n", at.Format("Mon, 2 Jan 2006 15:04:05 -0700"))
	return b.String()
}

// Protocol returns the word for the WITH clause (RFC 3848, RFC 6531 section 4.3): base is
// "ESMTP", "LMTP", or "SMTP" for a client that said HELO, for which there are no further
// words. authenticated says that the client has logged in.
func Protocol(env *relay.Envelope, base string, authenticated bool) string {
	switch {
	case env.Params.SMTPUTF8:
		base = "UTF8" + strings.TrimPrefix(base, "E")
	case base == "SMTP":
		return base
	}
	if env.Client.TLS {
		base += "S"
	}
	if authenticated {
		base += "A"
	}
	return base
}

// heloName returns what the client called itself if it is a name or a literal:
// the rest has no business in a header field.
func heloName(s string) string {
	ok := s != "" && len(s) <= 255 && !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]", r)
	})
	if !ok {
		return "unknown"
	}
	return s
}

// addressLiteral writes an IP address as RFC 5321 section 4.1.3 does.
func addressLiteral(a netip.Addr) string {
	if a.Is6() {
		return "[IPv6:" + a.WithZone("").String() + "]"
	}
	return "[" + a.String() + "]"
}
