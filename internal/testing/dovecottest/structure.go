//go:build unix

package dovecottest

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

var errStructure = errors.New("a structure that is cut short")

// reader reads lists of IMAP (RFC 3501 section 4).
type reader struct{ rest []byte }

// list reads a parenthesized list: its items are lists and strings, NIL is "".
func (r *reader) list() ([]any, error) {
	if len(r.rest) == 0 || r.rest[0] != '(' {
		return nil, errStructure
	}
	r.rest = r.rest[1:]
	var items []any
	for {
		r.rest = bytes.TrimLeft(r.rest, " ")
		if len(r.rest) == 0 {
			return nil, errStructure
		}
		if r.rest[0] == ')' {
			r.rest = r.rest[1:]
			return items, nil
		}
		item, err := r.item()
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
}

func (r *reader) item() (any, error) {
	switch r.rest[0] {
	case '(':
		return r.list()
	case '"':
		return r.quoted()
	case '{':
		return r.literal()
	}
	end := bytes.IndexAny(r.rest, " ()")
	if end < 1 {
		return nil, errStructure
	}
	atom := string(r.rest[:end])
	r.rest = r.rest[end:]
	if atom == "NIL" {
		atom = ""
	}
	return atom, nil
}

func (r *reader) quoted() (any, error) {
	var text []byte
	for i := 1; i < len(r.rest); i++ {
		switch r.rest[i] {
		case '"':
			r.rest = r.rest[i+1:]
			return string(text), nil
		case '\\':
			i++
		}
		if i < len(r.rest) {
			text = append(text, r.rest[i])
		}
	}
	return nil, errStructure
}

func (r *reader) literal() (any, error) {
	count, rest, found := bytes.Cut(r.rest[1:], []byte("}\r\n"))
	size, err := strconv.Atoi(string(count))
	if !found || err != nil || size > len(rest) {
		return nil, errStructure
	}
	r.rest = rest[size:]
	return string(rest[:size]), nil
}

// leaves lists the parts of a body structure (RFC 3501 section 7.4.2) that stands in
// the section given.
func leaves(section string, body []any) ([]Part, error) {
	if len(body) > 0 {
		if _, multipart := body[0].([]any); multipart {
			return leavesOf(section, body)
		}
	}
	if len(body) < 3 {
		return nil, errStructure
	}
	if section == "" {
		section = "1"
	}
	p := Part{Number: section, Type: strings.ToLower(fmt.Sprint(body[0], "/", body[1]))}
	parameters, _ := body[2].([]any)
	for i := 0; i+1 < len(parameters); i += 2 {
		if strings.EqualFold(fmt.Sprint(parameters[i]), "name") {
			p.Name = fmt.Sprint(parameters[i+1])
		}
	}
	return []Part{p}, nil
}

func leavesOf(section string, body []any) ([]Part, error) {
	var parts []Part
	for i, item := range body {
		child, ok := item.([]any)
		if !ok {
			break
		}
		number := strings.TrimPrefix(section+"."+strconv.Itoa(i+1), ".")
		found, err := leaves(number, child)
		if err != nil {
			return nil, err
		}
		parts = append(parts, found...)
	}
	return parts, nil
}
