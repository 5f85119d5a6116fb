package dsn

import (
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Status is what a report says of one recipient (RFC 3464 section 2.3).
type Status struct {
	// Action is "failed", "delayed", "delivered", "relayed" or "expanded".
	Action string
	// Original and Final are Null where the report does not name them.
	Original, Final address.Address
	// Reason is what the server said, as one short line of ASCII; "" if it is not there.
	Reason string
}

// IsReport reports whether a message is a delivery status notification (RFC 3464
// section 2), or one that is signed (RFC 1847 section 2.1), as gateways send them that sign all
// mail. Who signed does not matter: a report that is not signed says as much.
func IsReport(m *message.Message) bool { return reportOf(m) != nil }

// reportOf is the part that is the report; nil: there is none, or two readers may see another one.
func reportOf(m *message.Message) *message.Part {
	p := m.Root()
	if p.MediaType == "multipart/signed" && len(p.Children) == 2 && !p.Ambiguous {
		p = p.Children[0]
	}
	if p.MediaType != "multipart/report" || !strings.EqualFold(p.Params["report-type"], "delivery-status") {
		return nil
	}
	return p
}

// The limits of what is read of a report.
const (
	maxStatus     = 1 << 20 // octets of the parts that a program reads, together
	maxStatuses   = 1000    // recipients
	maxReasonSize = 300     // octets
)

// Failures returns the recipients of a report whose Action is "failed".
func Failures(m *message.Message) []Status {
	return slices.DeleteFunc(Statuses(m), func(s Status) bool { return s.Action != "failed" })
}

// Statuses returns what a report says of its recipients. Only its own parts count, and not what
// stands in a message that it returns; and nothing that two readers may read in two ways.
func Statuses(m *message.Message) []Status {
	report := reportOf(m)
	if report == nil || report.Ambiguous {
		return nil
	}
	var list []Status
	size := 0
	for _, p := range report.Children {
		if p.MediaType != "message/delivery-status" && p.MediaType != "message/global-delivery-status" || p.Ambiguous {
			continue
		}
		text, err := p.Decode()
		if size += len(text); err != nil || size > maxStatus {
			continue
		}
		// Groups of fields with blank lines between them; the first is about the
		// message and names no recipient (RFC 3464 section 2.1).
		for group := range strings.SplitSeq(string(message.Canonical(text)), "\r\n\r\n") {
			if s, ok := readStatus(group); ok && len(list) < maxStatuses {
				list = append(list, s)
			}
		}
	}
	return list
}

// readStatus reads a group of fields; ok is false for one that is not about a recipient.
func readStatus(group string) (s Status, ok bool) {
	fields, err := message.Parse([]byte(strings.TrimLeft(group, "\r\n") + "\r\n\r\n"))
	if err != nil || len(fields.All("Final-Recipient")) != 1 || len(fields.All("Action")) != 1 {
		return s, false
	}
	action, _, _ := strings.Cut(fields.Get("Action"), "(")
	return Status{
		Action:   strings.ToLower(strings.TrimSpace(action)),
		Original: recipient(fields.Get("Original-Recipient")), Final: recipient(fields.Get("Final-Recipient")),
		Reason: reasonIn(fields),
	}, true
}

// reasonIn is the reply of the server that refused, or the status code without one (RFC 3464
// sections 2.3.4 and 2.3.6).
func reasonIn(fields *message.Message) string {
	kind, text, ok := strings.Cut(fields.Get("Diagnostic-Code"), ";")
	if !ok {
		text = kind
	}
	if text = oneLine(text); text == "" {
		text = oneLine(fields.Get("Status"))
	}
	return text
}

// oneLine makes one short line of ASCII of what another server said.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(printable(text)), " ")
	return text[:min(len(text), maxReasonSize)]
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
