// Package address holds the only form in which a mail address travels through
// the program. An Address is made by parsing, never from a bare string, so that
// its holder may write it to a wire, a filter or a log without looking
// at it again.
package address

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// LocalPart is the rule by which two local parts are compared. RFC 5321 section
// 2.4 leaves their case to the receiving host; RFC 8550 section 3 asks mail
// clients to ignore it.
type LocalPart int

const (
	// IgnoreCase compares local parts case-insensitively.
	IgnoreCase LocalPart = iota
	// ExactCase compares local parts octet by octet.
	ExactCase
)

const (
	// maxDomain is the limit of RFC 5321 section 4.5.3.1.2, which DNS shares.
	maxDomain = 255
	// maxAddress bounds the wire form. RFC 5321 section 4.5.3.1 gives 64 octets
	// for a local part and asks to impose no limits where that is possible:
	// senders of the VERP, SRS and BATV kind go past it. An address must fit on
	// one line of a header field with its name (RFC 5322 section 2.1.1).
	maxAddress = 900
)

// Address is a parsed mailbox address, or the null reverse-path. The zero value
// is the null reverse-path.
type Address struct {
	local  string // without quotes and escapes
	domain string // as received
	ascii  string // domain as A-labels, lower case
	raw    string // the bytes that were parsed
}

// Null is the null reverse-path, "<>" (RFC 5321 section 4.5.5).
var Null Address

// Parse reads an addr-spec (RFC 5321 section 4.1.2 Mailbox) without angle
// brackets. It refuses white space and controls outside quotes, controls and
// NUL anywhere, a second "@" outside quotes, source routes and an empty part.
// A dot at the end of the domain is dropped.
func Parse(s string) (Address, error) { return parse(s, isDotString) }

func parse(s string, unquoted func(string) bool) (Address, error) {
	local, domain, err := split(s, unquoted)
	if err != nil {
		return Address{}, fmt.Errorf("address %q: %w", s, err)
	}
	a, err := fromParts(local, domain)
	if err != nil {
		return Address{}, fmt.Errorf("address %q: %w", s, err)
	}
	a.raw = s
	return a, nil
}

// ParsePath reads a path in angle brackets as it stands in MAIL FROM or RCPT
// TO; "<>" is Null. Raw keeps the brackets. Dots may stand anywhere in a local
// part: mailboxes of that kind are in use, and the wire form quotes them.
func ParsePath(s string) (Address, error) {
	if s == "<>" {
		return Address{raw: s}, nil
	}
	inner, ok := strings.CutPrefix(s, "<")
	if !ok || !strings.HasSuffix(inner, ">") {
		return Address{}, fmt.Errorf("path %q: not enclosed in angle brackets", s)
	}
	a, err := parse(strings.TrimSuffix(inner, ">"), isAtoms)
	if err != nil {
		return Address{}, err
	}
	a.raw = s
	return a, nil
}

// ParseUnquoted reads an address whose local part has lost its quotes, as some
// SMTP libraries hand it over: everything before the last "@" is the local
// part, literally.
func ParseUnquoted(s string) (Address, error) {
	i := strings.LastIndexByte(s, '@')
	if i < 0 {
		return Address{}, fmt.Errorf("address %q: no @", s)
	}
	a, err := fromParts(s[:i], s[i+1:])
	if err != nil {
		return Address{}, fmt.Errorf("address %q: %w", s, err)
	}
	a.raw = s
	return a, nil
}

// IsNull reports whether a is the null reverse-path.
func (a Address) IsNull() bool { return a.local == "" && a.domain == "" }

// Local returns the local part without quotes and escapes.
func (a Address) Local() string { return a.local }

// Domain returns the domain in A-label form, lower case.
func (a Address) Domain() string { return a.ascii }

// Raw returns the bytes that the address was parsed from.
func (a Address) Raw() string { return a.raw }

// String returns the wire form without angle brackets: the local part quoted
// whenever it is not a dot-string, the domain as received. Null is "".
func (a Address) String() string {
	if a.IsNull() {
		return ""
	}
	if isDotString(a.local) {
		return a.joined(a.local, a.domain)
	}
	return quote(a.local) + "@" + a.domain
}

// joined returns local "@" domain: as a part of what the address was parsed from, if it
// was written so, for each message asks for that many times.
func (a Address) joined(local, domain string) string {
	s := strings.TrimSuffix(strings.TrimPrefix(a.raw, "<"), ">")
	if rest, ok := strings.CutPrefix(s, local); ok && len(rest) == 1+len(domain) && rest[0] == '@' && rest[1:] == domain {
		return s
	}
	return local + "@" + domain
}

// ASCII reports whether the address can travel without SMTPUTF8 (RFC 6531) when
// its domain is written as Domain does.
func (a Address) ASCII() bool { return isASCII(a.local) }

// Key returns a string that two addresses share exactly if they name the same
// mailbox under rule. Null has the key "".
func (a Address) Key(rule LocalPart) string {
	if a.IsNull() {
		return ""
	}
	if rule == ExactCase {
		return a.joined(a.local, a.ascii)
	}
	return a.joined(lower(a.local), a.ascii)
}

// Equal reports whether a and b name the same mailbox under rule.
func (a Address) Equal(b Address, rule LocalPart) bool { return a.Key(rule) == b.Key(rule) }

// MarshalText returns the wire form, for JSON and logs.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

var (
	errNoAt     = errors.New("no @ between local part and domain")
	errSecondAt = errors.New("more than one @ outside quotes")
	errQuote    = errors.New("unbalanced or misplaced quote")
	errEmpty    = errors.New("empty local part or domain")
	errControl  = errors.New("white space or control character")
	errUTF8     = errors.New("not valid UTF-8")
	errLong     = errors.New("domain over 255 octets, or address over 900")
	errAtom     = errors.New("character not allowed outside quotes")
)

// split separates the local part, unquoted, from the domain; unquoted reports
// what may stand there without quotes.
func split(s string, unquoted func(string) bool) (local, domain string, err error) {
	if strings.HasPrefix(s, `"`) {
		return splitQuoted(s)
	}
	local, domain, ok := strings.Cut(s, "@")
	switch {
	case !ok:
		return "", "", errNoAt
	case strings.Contains(domain, "@"):
		return "", "", errSecondAt
	case strings.Contains(local, `"`):
		return "", "", errQuote
	case local != "" && !unquoted(local):
		return "", "", errAtom
	}
	return local, domain, nil
}

func splitQuoted(s string) (local, domain string, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
			if i == len(s) {
				return "", "", errQuote
			}
			b.WriteByte(s[i])
		case '"':
			rest, ok := strings.CutPrefix(s[i+1:], "@")
			if !ok {
				return "", "", errQuote
			}
			if strings.Contains(rest, "@") {
				return "", "", errSecondAt
			}
			return b.String(), rest, nil
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", errQuote
}

func fromParts(local, domain string) (Address, error) {
	if local == "" || domain == "" {
		return Address{}, errEmpty
	}
	domain = withoutRoot(domain)
	if len(domain) > maxDomain {
		return Address{}, errLong
	}
	if !utf8.ValidString(local) || !utf8.ValidString(domain) {
		return Address{}, errUTF8
	}
	if hasControl(local) {
		return Address{}, errControl
	}
	ascii, err := domainASCII(domain)
	if err != nil {
		return Address{}, err
	}
	a := Address{local: local, domain: domain, ascii: ascii}
	if len(a.String()) > maxAddress {
		return Address{}, errLong
	}
	return a, nil
}

// withoutRoot drops the dot that stands for the root of the DNS: with and
// without it a domain is the same, and mail servers write it without.
func withoutRoot(domain string) string {
	if name, ok := strings.CutSuffix(domain, "."); ok && name != "" {
		return name
	}
	return domain
}

// domainASCII returns the comparison form of a domain or an address literal.
func domainASCII(domain string) (string, error) {
	if strings.HasPrefix(domain, "[") {
		return literal(domain)
	}
	ascii := strings.ToLower(domain)
	if !isASCII(domain) {
		var err error
		if ascii, err = idna.Lookup.ToASCII(domain); err != nil {
			return "", fmt.Errorf("domain %q: %w", domain, err)
		}
	}
	for label := range strings.SplitSeq(ascii, ".") {
		if !isLabel(label) {
			return "", fmt.Errorf("domain %q: not a host name", domain)
		}
	}
	return ascii, nil
}

// literal checks an address literal (RFC 5321 section 4.1.3) for its characters
// only: the next hop knows which addresses it accepts.
func literal(domain string) (string, error) {
	inner, ok := strings.CutSuffix(domain[1:], "]")
	if !ok || inner == "" {
		return "", fmt.Errorf("domain %q: not an address literal", domain)
	}
	for _, c := range []byte(inner) {
		if !isAlnum(c) && c != '.' && c != ':' && c != '-' {
			return "", fmt.Errorf("domain %q: not an address literal", domain)
		}
	}
	return strings.ToLower(domain), nil
}

func isLabel(label string) bool {
	if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for _, c := range []byte(label) {
		// Underscores are no host name, and in use nevertheless.
		if !isAlnum(c) && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// isDotString reports whether s needs no quotes (RFC 5321 section 4.1.2, with
// the UTF-8 of RFC 6531 section 3.3).
func isDotString(s string) bool {
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" {
			return false
		}
	}
	return isAtoms(s)
}

// isAtoms reports whether s holds dots and the characters of atoms only (RFC
// 5322 section 3.2.3, RFC 6531 section 3.3).
func isAtoms(s string) bool {
	for _, c := range []byte(s) {
		if !isAlnum(c) && c < utf8.RuneSelf && strings.IndexByte(".!#$%&'*+-/=?^_`{|}~", c) < 0 {
			return false
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func quote(local string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range []byte(local) {
		if c == '"' || c == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	b.WriteByte('"')
	return b.String()
}

// hasControl reports C0 and C1 controls, DEL, and the Unicode line separators:
// none of them can be carried by a quoted-string (RFC 5321 section 4.1.2).
func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool {
		return r < ' ' || r >= 0x7f && r <= 0x9f || r == 0x2028 || r == 0x2029
	})
}

// lower turns A to Z into lower case and leaves all else: Unicode has letters
// (the Kelvin sign) whose lower case is an ASCII letter, and they name other
// mailboxes.
func lower(s string) string {
	if !strings.ContainsFunc(s, isUpper) { // as in most addresses
		return s
	}
	b := []byte(s)
	for i, c := range b {
		if isUpper(rune(c)) {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

func isUpper(r rune) bool { return 'A' <= r && r <= 'Z' }

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
