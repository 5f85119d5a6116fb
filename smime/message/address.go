package message

import (
	"errors"
	"fmt"
	"mime"
	"strings"

	"github.com/smimerelay/smimerelay/smime/address"
)

// Mailbox is an address with the name displayed for it (RFC 5322 section 3.4).
type Mailbox struct {
	// Name is the display name, decoded (RFC 2047), without control characters.
	Name    string
	Address address.Address
}

// Mailboxes returns the mailboxes in all fields of that name, groups opened. It
// is strict: whatever two readers may understand differently is an error, so
// that no address is ever matched that another reader does not see. No field is
// no mailboxes.
func (m *Message) Mailboxes(name string) ([]Mailbox, error) { return mailboxes(m.fields, name) }

func mailboxes(fields []Field, name string) ([]Mailbox, error) {
	var boxes []Mailbox
	for _, value := range all(fields, name) {
		more, err := parseMailboxes(value)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", name, err)
		}
		boxes = append(boxes, more...)
	}
	return boxes, nil
}

// Addresses returns the addresses in all fields of that name, as Mailboxes does.
func (m *Message) Addresses(name string) ([]address.Address, error) { return m.root.Addresses(name) }

// Addresses returns the addresses in all fields of that name, as
// Message.Addresses does.
func (p *Part) Addresses(name string) ([]address.Address, error) {
	boxes, err := mailboxes(p.Fields, name)
	if err != nil {
		return nil, err
	}
	addrs := make([]address.Address, len(boxes))
	for i, b := range boxes {
		addrs[i] = b.Address
	}
	return addrs, nil
}

var (
	errAddrComment = errors.New("a comment has no end")
	errAddrQuote   = errors.New("a quoted string has no end")
	errAddrChar    = errors.New("a character that cannot stand there")
	errAddrGroup   = errors.New("a group that is not well-formed")
	errAddrAngle   = errors.New("an address in angle brackets that is not well-formed")
	errAddrName    = errors.New("a display name that is another address")
	errAddrEncoded = errors.New("an encoded word in an address")
)

// parseMailboxes reads an address-list (RFC 5322 section 3.4). Of the obsolete
// syntax only empty list elements and dots in display names are taken. Display
// names that should be quoted are taken where every reader finds the same
// address: with brackets, with commas between words of which none is an address,
// and with the very address that follows in angle brackets.
func parseMailboxes(value string) ([]Mailbox, error) {
	p := addressParser{lexer: lexer{s: value}}
	for {
		if !p.cfws() {
			return nil, errAddrComment
		}
		if p.end() {
			break
		}
		if err := p.element(); err != nil {
			return nil, err
		}
	}
	if p.group {
		return nil, errAddrGroup
	}
	return p.boxes, nil
}

type addressParser struct {
	lexer
	boxes []Mailbox
	group bool // inside "name: ... ;"
	full  bool // an address was read and no separator since
	// shown are the addresses in the display name being read.
	shown []string
}

// element reads a separator, a group's name, or a mailbox.
func (p *addressParser) element() error {
	switch p.s[p.i] {
	case ',':
		p.i++
		p.full = false
		return nil
	case ';':
		if !p.group {
			return errAddrGroup
		}
		p.i++
		// What follows a group is a comma or the end.
		p.group, p.full = false, true
		return nil
	}
	if p.full {
		return errAddrChar
	}
	return p.mailbox()
}

// mailbox reads a mailbox or the name of a group.
func (p *addressParser) mailbox() error {
	var words []string
	p.shown = nil
	start := p.i // of the last word
	for !p.end() {
		switch c := p.s[p.i]; {
		case c == '<':
			return p.angle(words)
		case c == '@' && len(words) > 0:
			done, err := p.bare(start, len(words))
			if done || err != nil {
				return err
			}
			words[len(words)-1] = p.shown[len(p.shown)-1]
		case c == ':':
			if p.group || len(words) == 0 || len(p.shown) > 0 {
				return errAddrGroup
			}
			p.i++
			p.group = true
			return nil
		case c == '"':
			start = p.i
			word, ok := p.quoted()
			if !ok {
				return errAddrQuote
			}
			words = append(words, word)
		case c == ',':
			p.i++
			start = p.i
			words[len(words)-1] += ","
		case phraseChar(c):
			start = p.i
			words = append(words, p.word())
		default:
			return errAddrChar
		}
		if p.end() || p.s[p.i] == '@' {
			continue
		}
		if !p.cfws() {
			return errAddrComment
		}
		if !p.end() && p.s[p.i] == '@' {
			// White space or a comment before the @ is obsolete.
			return errAddrChar
		}
	}
	return errAddrChar
}

// angle reads "<addr-spec>" after the words of a display name.
func (p *addressParser) angle(words []string) error {
	p.i++
	start := p.i
	for !p.end() && p.s[p.i] != '>' {
		if p.s[p.i] != '"' {
			p.i++
		} else if _, ok := p.quoted(); !ok {
			return errAddrQuote
		}
	}
	if p.end() {
		return errAddrAngle
	}
	spec := p.s[start:p.i]
	p.i++
	return p.found(strings.Trim(spec, " \t"), displayName(words))
}

// bare reads an addr-spec without angle brackets, whose local part is the word
// that starts at start; p is at the @. An addr-spec before one in angle brackets
// is a part of the display name, and done is false.
func (p *addressParser) bare(start, words int) (done bool, err error) {
	p.i++
	for !p.end() && strings.IndexByte(" \t,;(<>\"", p.s[p.i]) < 0 {
		p.i++
	}
	spec := p.s[start:p.i]
	if rest := strings.TrimLeft(p.s[p.i:], " \t"); strings.HasPrefix(rest, "<") {
		p.shown = append(p.shown, spec)
		return false, nil
	}
	if words != 1 {
		return false, errAddrChar
	}
	return true, p.found(spec, "")
}

// found takes an addr-spec into the list. Readers that decode encoded words
// where none may stand would see another address.
func (p *addressParser) found(spec, name string) error {
	if strings.Contains(spec, "=?") {
		return errAddrEncoded
	}
	a, err := address.Parse(spec)
	if err != nil {
		return err
	}
	for _, text := range p.shown {
		if b, err := address.Parse(withoutApostrophes(text)); err != nil || !b.Equal(a, address.IgnoreCase) {
			return errAddrName
		}
	}
	p.boxes = append(p.boxes, Mailbox{Name: name, Address: a})
	p.full = true
	return nil
}

// withoutApostrophes removes those that some programs put around an address that
// they show as a name. No domain ends with one.
func withoutApostrophes(s string) string {
	if len(s) > 2 && s[0] == '\'' && s[len(s)-1] == '\'' {
		return s[1 : len(s)-1]
	}
	return s
}

// word reads an atom; dots are allowed for dot-atoms and, as all readers do, in
// display names, and so are brackets.
func (p *addressParser) word() string {
	start := p.i
	for !p.end() && phraseChar(p.s[p.i]) {
		p.i++
	}
	return p.s[start:p.i]
}

func phraseChar(c byte) bool { return isAtomChar(c) || c == '[' || c == ']' }

func isAtomChar(c byte) bool {
	return c > ' ' && c != 0x7f && strings.IndexByte(`()<>[]:;@\,"`, c) < 0
}

// displayName decodes the words of a phrase. White space between two encoded
// words is no part of the text (RFC 2047 section 6.2).
func displayName(words []string) string {
	decoder := mime.WordDecoder{}
	text := strings.Join(words, " ")
	if decoded, err := decoder.DecodeHeader(text); err == nil {
		text = decoded
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r <= 0x9f || r == 0x2028 || r == 0x2029 {
			return -1
		}
		return r
	}, text)
}
