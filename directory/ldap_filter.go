package directory

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"
	"golang.org/x/net/idna"

	"github.com/smimerelay/smimerelay/smime/address"
)

// filterTemplate is a filter (RFC 4515) with places for the recipient.
type filterTemplate struct {
	text   string
	places []string
}

// places are what may stand for a recipient.
var places = [...]string{"{addr}", "{local}", "{domain}"}

// parseFilter reads a template that finds the entries of a recipient.
func parseFilter(text string) (*filterTemplate, error) { return parseTemplate(text, places[:]...) }

// parseTemplate checks a template once and for all: it is a filter with anything
// put in its places, and they are places of values only.
func parseTemplate(text string, places ...string) (*filterTemplate, error) {
	if !utf8.ValidString(text) { // RFC 4515 section 3; read with escapes in it, it would be no filter
		return nil, fmt.Errorf("filter %q: is not UTF-8; write its other octets as \\ and two hexadecimal digits", text)
	}
	t := &filterTemplate{text: text, places: places}
	found := false
	for _, place := range places {
		for rest, base := text, 0; ; {
			i := strings.Index(rest, place)
			if i < 0 {
				break
			}
			if !inValue(text[:base+i]) {
				return nil, fmt.Errorf("filter %q: %s must stand in a value, after =", text, place)
			}
			found = true
			base += i + len(place)
			rest = text[base:]
		}
	}
	if !found {
		return nil, fmt.Errorf("filter %q: does not contain %s, the recipient or user", text, places[0])
	}
	if _, err := ldap.CompileFilter(t.fill(make([]string, len(places))...)); err != nil {
		return nil, fmt.Errorf("filter %q: %w", text, err)
	}
	return t, nil
}

// inValue reports whether what follows before belongs to an assertion value, and
// not to an escape in one.
func inValue(before string) bool {
	open := strings.LastIndexAny(before, "()")
	escape := strings.LastIndexByte(before, '\\')
	return open >= 0 && before[open] == '(' && strings.Contains(before[open:], "=") &&
		(escape < 0 || escape < len(before)-2)
}

// expand returns the filter for addr. A domain with non-ASCII labels is looked
// for in both of its forms: directories hold either.
func (t *filterTemplate) expand(addr address.Address) string {
	ascii := t.fill(asciiForm(addr), addr.Local(), addr.Domain())
	unicode, err := idna.Lookup.ToUnicode(addr.Domain())
	if err != nil || unicode == addr.Domain() {
		return ascii
	}
	return "(|" + ascii + t.fill(localForm(addr)+"@"+unicode, addr.Local(), unicode) + ")"
}

// anyone is the filter for all recipients: its places hold for every value (RFC 4515 section 3).
func (t *filterTemplate) anyone() string {
	var pairs []string
	for _, place := range t.places {
		pairs = append(pairs, place, "*")
	}
	return strings.NewReplacer(pairs...).Replace(t.text)
}

// asciiForm returns the wire form of addr with its domain in A-labels.
func asciiForm(addr address.Address) string { return localForm(addr) + "@" + addr.Domain() }

// localForm returns the local part of addr's wire form, quoted if need be.
func localForm(addr address.Address) string {
	whole := addr.String()
	return whole[:strings.LastIndexByte(whole, '@')]
}

// fill is the only place where a value gets into a template. The values are in
// the order of the places.
func (t *filterTemplate) fill(values ...string) string {
	var pairs []string
	for i, place := range t.places {
		pairs = append(pairs, place, ldap.EscapeFilter(values[i])) //nolint:gosec // G602: a value for each place
	}
	return strings.NewReplacer(pairs...).Replace(t.text)
}
