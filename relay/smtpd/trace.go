package smtpd

import (
	"net/netip"
	"strings"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/message"
	"github.com/smimerelay/smimerelay/relay"
)

// maxHops is how many Received fields a message may have before we take it to
// be in a loop (RFC 5321 section 6.3 says at least 100 for a simple count; a
// gateway sits among a few servers of one site, and a loop costs a signature
// and a directory search a round).
const maxHops = 50

// checkLoop refuses a message that has come by too often.
func checkLoop(m *message.Message) error {
	hops := 0
	for _, f := range m.Fields() {
		if strings.EqualFold(f.Name, "Received") {
			hops++
		}
	}
	if hops <= maxHops {
		return nil
	}
	const text = "too many hops: the message is in a loop"
	return &fault.Error{
		Kind: fault.Policy, Public: text,
		Reply: fault.Reply{Code: 554, Enhanced: [3]int{5, 4, 6}, Text: text},
	}
}

// protocol returns the word for the WITH clause (RFC 3848, RFC 6531 section
// 4.3).
func (s *session) protocol(env *relay.Envelope) string {
	name := "SMTP"
	if s.config().LMTP {
		name = "LMTP"
	}
	switch {
	case env.Params.SMTPUTF8:
		name = "UTF8" + name
	case !s.config().LMTP:
		name = "E" + name
	}
	if env.Client.TLS {
		name += "S"
	}
	return name
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
