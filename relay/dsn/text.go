package dsn

import (
	"fmt"
	"strings"

	"github.com/smimerelay/smimerelay/smime/address"
)

// dateFormat is the date-time of RFC 5322 section 3.3.
const dateFormat = "Mon, 02 Jan 2006 15:04:05 -0700"

// maxValue keeps the lines of the status part under 998 octets.
const maxValue = 900

// clean makes one line of s: what is no printable text becomes a blank.
func clean(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r <= 0x9f || r == 0x2028 || r == 0x2029 || r == 0xfffd {
			return ' '
		}
		return r
	}, s))
}

// printable makes one line of ASCII of s.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r > '~' {
			return '?'
		}
		return r
	}, clean(s))
	if len(s) > maxValue {
		s = s[:maxValue]
	}
	return s
}

// token keeps the letters, digits, dots and hyphens of s.
func token(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '.', r == '-':
			return r
		}
		return -1
	}, s)
}

// typed returns an address with its type: RFC 3464 section 2.3.2, and RFC 6533
// section 3 for one that is not ASCII.
func typed(a address.Address) string {
	if a.ASCII() {
		return "rfc822; " + wire(a)
	}
	return "utf-8; " + utf8Xtext(wire(a))
}

func original(to Recipient) string {
	kind := token(to.OriginalType)
	if kind == "" {
		kind = "rfc822"
	}
	if strings.EqualFold(kind, "utf-8") {
		return kind + "; " + utf8Xtext(to.Original)
	}
	return kind + "; " + to.Original
}

// wire returns the address with its domain in ASCII.
func wire(a address.Address) string {
	s := a.String()
	return s[:strings.LastIndexByte(s, '@')+1] + a.Domain()
}

// utf8Xtext encodes what is not ASCII: utf-8-addr-xtext of RFC 6533 section 3.
func utf8Xtext(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r <= ' ' || r > '~' || r == '+' || r == '=' || r == '\\' {
			fmt.Fprintf(&b, `\x{%X}`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// headerAddress returns the address for a header that must be ASCII.
func headerAddress(a address.Address) string {
	if a.ASCII() {
		return wire(a)
	}
	// A reader that cannot write the address needs no header to find it: the
	// envelope has it. RFC 6854 allows the empty group.
	return "undisclosed-recipients:;"
}

func mailbox(name string, a address.Address, hostname string) string {
	if a.IsNull() || !a.ASCII() {
		return name + " <MAILER-DAEMON@" + token(hostname) + ">"
	}
	return name + " <" + wire(a) + ">"
}
