package wire

import (
	"fmt"
	"strings"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/address"
)

// Paths reads the paths of MAIL and RCPT commands (RFC 5321 section 4.1.2), as
// tolerant as Postfix where the meaning is plain: blanks inside the brackets, no
// brackets, dots anywhere.
type Paths struct {
	// Host completes an address that has no domain.
	Host string
	// Postmaster is whom RCPT TO:<Postmaster> means (RFC 5321 section 4.5.1);
	// the null address means postmaster at Host.
	Postmaster address.Address
	// AllowRouted takes recipients that only an MTA behind can complete or route:
	// without a domain, or with a source route.
	AllowRouted bool
}

// Sender reads a reverse-path. A source route in it is dropped (RFC 5321
// section 4.1.1.3), and a missing domain is the host's.
func (p Paths) Sender(text string) (address.Address, error) {
	_, box := sourceRoute(bare(text))
	if box == "" {
		return address.Null, nil
	}
	if !strings.Contains(box, "@") {
		box += "@" + p.Host
	}
	return p.parse(box)
}

// Recipient reads a forward-path. Raw of the result is text as it came.
func (p Paths) Recipient(text string) (address.Address, error) {
	route, box := sourceRoute(bare(text))
	switch {
	case box == "":
		return address.Null, fault.New(fault.BadAddress, "empty recipient address", nil)
	case route != "" && !p.AllowRouted:
		return address.Null, relay.RoutedRefusal(text, "source routes are not accepted")
	case strings.EqualFold(box, "postmaster") && !p.Postmaster.IsNull():
		return p.Postmaster, nil
	case !strings.Contains(box, "@"):
		if !strings.EqualFold(box, "postmaster") && !p.AllowRouted {
			return address.Null, relay.RoutedRefusal(text, "the address has no domain")
		}
		box += "@" + p.Host
	}
	a, err := p.parse(box)
	if err != nil && strings.Count(box, "@") > 1 {
		// user@elsewhere@here: Postfix sends it elsewhere.
		return address.Null, relay.RoutedRefusal(text, "it has more than one @")
	}
	return a, err
}

func (p Paths) parse(box string) (address.Address, error) {
	a, err := address.ParsePath("<" + box + ">")
	if err != nil {
		return address.Null, fault.New(fault.BadAddress, "address not understood", err)
	}
	return a, nil
}

// bare takes the angle brackets and the blanks off a path.
func bare(text string) string {
	text = strings.Trim(text, " \t")
	if inner, ok := strings.CutPrefix(text, "<"); ok {
		text = strings.TrimSuffix(inner, ">")
	}
	return strings.Trim(text, " \t")
}

// sourceRoute splits "@a,@b:user@c".
func sourceRoute(path string) (route, box string) {
	if !strings.HasPrefix(path, "@") {
		return "", path
	}
	route, box, ok := strings.Cut(path, ":")
	if !ok {
		return "", path
	}
	return route, box
}

// CutPath takes the path off the front of what follows FROM: or TO:, and returns
// it with its brackets, and the parameters behind it.
func CutPath(s string) (path string, args []string, err error) {
	end, err := pathEnd(s)
	if err != nil {
		return "", nil, err
	}
	return s[:end], strings.Fields(s[end:]), nil
}

// pathEnd finds the end of the path that s begins with: its closing bracket or,
// without brackets, a blank; neither counts in a quoted string.
func pathEnd(s string) (int, error) {
	bracket, quoted := strings.HasPrefix(s, "<"), false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case bracket && c == '>':
			return i + 1, nil
		case !bracket && (c == ' ' || c == '\t'):
			return i, nil
		}
	}
	if bracket || quoted || s == "" {
		return 0, fmt.Errorf("path %q: not closed", s)
	}
	return len(s), nil
}
