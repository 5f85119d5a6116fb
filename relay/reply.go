package relay

import (
	"fmt"
	"strings"

	"github.com/smimerelay/smimerelay/internal/fault"
)

// ReplyFor returns the SMTP reply for an error (RFC 5321 section 4.2, RFC 3463).
// It is the only place that makes SMTP codes; what it does not know is
// temporary.
func ReplyFor(err error) fault.Reply {
	e := fault.Of(err)
	if e.Reply.Code != 0 {
		return e.Reply
	}
	r := fault.Reply{Text: e.Public}
	switch e.Kind {
	case fault.Unavailable:
		r.Code, r.Enhanced = 451, [3]int{4, 4, 3}
	case fault.Capacity:
		r.Code, r.Enhanced = 452, [3]int{4, 3, 1}
	case fault.Identity:
		r.Code, r.Enhanced = 451, [3]int{4, 7, 0}
	case fault.NextHop:
		r.Code, r.Enhanced = 451, [3]int{4, 4, 1}
	case fault.Held:
		r.Code, r.Enhanced = 451, [3]int{4, 7, 1}
	case fault.Policy:
		r.Code, r.Enhanced = 550, [3]int{5, 7, 1}
	case fault.Malformed:
		r.Code, r.Enhanced = 550, [3]int{5, 6, 0}
	case fault.TooLarge:
		r.Code, r.Enhanced = 552, [3]int{5, 3, 4}
	case fault.BadAddress:
		r.Code, r.Enhanced = 553, [3]int{5, 1, 3}
	case fault.Refused:
		r.Code, r.Enhanced = 550, [3]int{5, 0, 0}
	default:
		r.Code, r.Enhanced = 451, [3]int{4, 3, 0}
	}
	return r
}

// Temporary reports whether a peer that gets the reply for err tries again. A next hop
// that answers nonsense has not refused the message.
func Temporary(err error) bool { return ReplyFor(err).Code/100 != 5 }

// RoutedRefusal is the refusal of a recipient whose address says by which way to
// go: an MTA behind would read another recipient out of it than the rules see.
func RoutedRefusal(path, why string) error {
	text := fmt.Sprintf("<%s>: %s: addresses with a route are refused here", strings.Trim(path, "<> \t"), why)
	return &fault.Error{
		Kind: fault.BadAddress, Public: text,
		Reply: fault.Reply{Code: 550, Enhanced: [3]int{5, 1, 3}, Text: text},
	}
}
