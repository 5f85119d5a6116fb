package dsn

import (
	"strings"

	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Failure is a recipient of whom a report says that delivery failed. The addresses
// are Null where it does not name them.
type Failure struct{ Original, Final address.Address }

// IsReport reports whether a message is a delivery status notification (RFC 3464
// section 2).
func IsReport(m *message.Message) bool {
	p := m.Root()
	return p.MediaType == "multipart/report" && strings.EqualFold(p.Params["report-type"], "delivery-status")
}

// Failures returns the recipients of a report whose Action is "failed".
func Failures(m *message.Message) []Failure {
	var list []Failure
	for _, text := range contents(m, "message/delivery-status", "message/global-delivery-status") {
		// Groups of fields with blank lines between them; the first is about the
		// message and names no recipient (RFC 3464 section 2.1).
		for group := range strings.SplitSeq(string(message.Canonical(text)), "\r\n\r\n") {
			fields, err := message.Parse([]byte(strings.TrimLeft(group, "\r\n") + "\r\n\r\n"))
			if err != nil {
				continue
			}
			action, _, _ := strings.Cut(fields.Get("Action"), "(")
			if fields.Has("Final-Recipient") && strings.EqualFold(strings.TrimSpace(action), "failed") {
				list = append(list, Failure{Original: recipient(fields.Get("Original-Recipient")), Final: recipient(fields.Get("Final-Recipient"))})
			}
		}
	}
	return list
}

// recipient reads "rfc822; address" (RFC 3464 section 2.3.1).
func recipient(value string) address.Address {
	kind, text, ok := strings.Cut(value, ";")
	if !ok || !strings.EqualFold(strings.TrimSpace(kind), "rfc822") && !strings.EqualFold(strings.TrimSpace(kind), "utf-8") {
		return address.Null
	}
	text = strings.TrimSpace(text)
	a, err := address.Parse(strings.TrimSuffix(strings.TrimPrefix(text, "<"), ">"))
	if err != nil {
		return address.Null
	}
	return a
}

// Returned returns the values of a field in the headers that a message returns, as a
// part of its own (RFC 3462 section 2, RFC 6533 section 4) or in its text.
func Returned(m *message.Message, name string) []string {
	var values []string
	for _, text := range contents(m, "text/rfc822-headers", "message/global-headers", "message/rfc822", "message/global", "text/plain") {
		values = append(values, fieldsIn(string(message.Canonical(text)), name)...)
	}
	return values
}

// fieldsIn finds the lines of a field anywhere in a text.
func fieldsIn(text, name string) []string {
	var values []string
	lines := strings.Split(text, "\r\n")
	for i := 0; i < len(lines); i++ {
		at, value, ok := strings.Cut(lines[i], ":")
		if !ok || !strings.EqualFold(at, name) {
			continue
		}
		for ; i+1 < len(lines) && (strings.HasPrefix(lines[i+1], " ") || strings.HasPrefix(lines[i+1], "\t")); i++ {
			value += lines[i+1]
		}
		values = append(values, value)
	}
	return values
}

// contents returns the decoded contents of the parts of some types.
func contents(m *message.Message, types ...string) [][]byte {
	var list [][]byte
	m.Root().Walk(func(p *message.Part) bool {
		for _, t := range types {
			if p.MediaType != t {
				continue
			}
			if text, err := p.Decode(); err == nil {
				list = append(list, text)
			}
			return false
		}
		return true
	})
	return list
}
