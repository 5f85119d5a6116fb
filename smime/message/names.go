package message

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/smimerelay/smimerelay/internal/charset"
)

// Name is how a part may be called.
type Name struct {
	Text string
	// Unread says that a charset is not known, or that something is missing or
	// doubled: some reader may see another name.
	Unread bool
}

// Names returns every name that some reader may see for the part, each once:
// programs take filename or name, the first or the last of doubled ones, the plain
// form or the extended one (RFC 2231). They mostly agree, and then there is one.
func (p *Part) Names() []Name {
	var names []Name
	for _, f := range p.Fields {
		if !f.Is("Content-Type", "Content-Disposition") {
			continue
		}
		for _, n := range namesIn(f.Value()) {
			if !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
	}
	return names
}

// namesIn returns the names in one field value.
func namesIn(value string) []Name {
	var names []Name
	pieces := make(map[string][]namePiece)
	for _, p := range allParams(value) {
		key, section, split := strings.Cut(p.name, "*")
		if key != "name" && key != "filename" {
			continue
		}
		if !split {
			text, ok := charset.Header(p.value)
			names = append(names, Name{text, !ok})
			continue
		}
		pieces[key] = append(pieces[key], newPiece(section, p.value))
	}
	for _, key := range []string{"filename", "name"} {
		if list := pieces[key]; list != nil {
			names = append(names, joined(list))
		}
	}
	return names
}

// param is a parameter as it stands in a field.
type param struct{ name, value string }

// allParams reads the parameters of a value, also those that are doubled, as
// leniently as any reader.
func allParams(value string) []param {
	var all []param
	l := lexer{s: value}
	l.cfws()
	l.until(";(")
	l.cfws()
	for !l.end() {
		if l.s[l.i] != ';' {
			l.until(";")
			continue
		}
		l.i++
		l.cfws()
		name := strings.ToLower(l.until("=;("))
		l.cfws()
		if l.end() || l.s[l.i] != '=' {
			continue
		}
		l.i++
		l.cfws()
		var text string
		if !l.end() && l.s[l.i] == '"' {
			text, _ = l.quoted()
		} else {
			text = l.until(";")
		}
		all = append(all, param{name, text})
	}
	return all
}

// namePiece is a piece of a name that RFC 2231 section 3 splits.
type namePiece struct {
	number  int // -1 if it cannot be read
	encoded bool
	value   string
}

func newPiece(section, value string) namePiece {
	p := namePiece{value: value}
	if section == "" {
		p.encoded = true
		return p
	}
	section, p.encoded = strings.CutSuffix(section, "*")
	n, err := strconv.Atoi(section)
	if err != nil || strconv.Itoa(n) != section {
		n = -1
	}
	p.number = n
	return p
}

// joined reads the pieces of a name in their order.
func joined(pieces []namePiece) Name {
	slices.SortStableFunc(pieces, func(a, b namePiece) int { return a.number - b.number })
	var octets []byte
	name, whole := "us-ascii", true
	if pieces[0].encoded {
		// charset'language'value (RFC 2231 section 4)
		if parts := strings.SplitN(pieces[0].value, "'", 3); len(parts) == 3 {
			name, pieces[0].value = parts[0], parts[2]
		}
	}
	encoded := false
	for i, p := range pieces {
		encoded = encoded || p.encoded
		whole = whole && p.number == i
		value := p.value
		if p.encoded {
			plain, err := url.PathUnescape(value)
			if whole = whole && err == nil; err == nil {
				value = plain
			}
		}
		octets = append(octets, value...)
	}
	if !encoded {
		text, ok := charset.Header(string(octets))
		return Name{text, !ok || !whole}
	}
	if name == "" {
		name = "us-ascii"
	}
	text, ok := charset.Decode(name, octets)
	return Name{text, !ok || !whole}
}
