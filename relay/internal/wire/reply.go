package wire

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
)

// maxText keeps a reply line, with its code, below the 512 octets of RFC 5321
// section 4.5.3.1.5.
const maxText = 450

// Reply returns the reply for err in a form that fits on one line of any
// protocol: printable US-ASCII, not too long, with an enhanced code that
// matches the code (RFC 3463 section 2).
func Reply(err error) fault.Reply {
	r := relay.ReplyOn(err)
	if class := r.Code / 100; class != 4 && class != 5 {
		// A next hop that answers nonsense has not refused the message.
		r = relay.ReplyFor(fault.New(fault.Internal, r.Text, nil))
	}
	if r.Enhanced[0] != r.Code/100 {
		r.Enhanced = [3]int{r.Code / 100, 0, 0}
	}
	r.Text = Printable(r.Text)
	return r
}

// Line writes a reply as SMTP does.
func Line(r fault.Reply) string {
	return fmt.Sprintf("%d %d.%d.%d %s", r.Code, r.Enhanced[0], r.Enhanced[1], r.Enhanced[2], r.Text)
}

// Answer is Reply with whom to ask (see relay.Help), and with the id by which the log has what
// it is about; "" for what has none.
func Answer(err error, contact, id string) fault.Reply {
	r := Reply(err)
	notes := relay.Help(err, contact)
	if id != "" && !strings.Contains(r.Text, id) {
		notes += " (id " + id + ")"
	}
	r.Text = shortened(r.Text, maxText-len(notes)) + notes
	return r
}

// Printable returns a text of a peer's as it may stand on one line of a reply or
// a log. Letters beyond US-ASCII are written as Go escapes, \u00fc, so that two
// addresses stay two; a reply has them only where SMTPUTF8 is in use (RFC 6531
// section 3.7.4.1).
func Printable(s string) string {
	s = shortened(escaped(s), maxText)
	if strings.TrimSpace(s) == "" {
		return "no reason given"
	}
	return s
}

// escaped is Printable of any length.
func escaped(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\r' || r == '\n' || r == '\t':
			b.WriteByte(' ')
		case r < ' ' || r == 0x7f || r == utf8.RuneError:
			b.WriteByte('?')
		case r > '~':
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func shortened(s string, limit int) string {
	if len(s) > limit {
		return s[:limit-3] + "..."
	}
	return s
}
