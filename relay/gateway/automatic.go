package gateway

import (
	"bytes"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/message"
)

// isAutomatic reports whether a message is a delivery report, a read receipt or
// an automatic reply that is not touched. Only the null sender counts, which
// people cannot use, and only what is a report or a reply by its whole structure
// and brings nothing back: otherwise a header that anybody can write would be the
// way around encryption.
func isAutomatic(env *relay.Envelope, m *message.Message) bool {
	if !env.Sender.IsNull() {
		return false
	}
	root := m.Root()
	if root.MediaType == "multipart/report" {
		return isReport(root)
	}
	// A user who logged in to send it is no machine.
	return env.Client.User == "" && autoSubmitted(m) == "auto-replied" && isText(root)
}

// bearsReport reports whether a message is a report, a receipt or an automatic
// reply by its envelope and its type, also one that brings a message back.
func bearsReport(env *relay.Envelope, m *message.Message) bool {
	auto := autoSubmitted(m)
	return env.Sender.IsNull() && (m.Root().MediaType == "multipart/report" || env.Client.User == "" && auto != "" && auto != "no")
}

// autoSubmitted returns the keyword of Auto-Submitted (RFC 3834 section 5); "" if
// there is none, or not one.
func autoSubmitted(m *message.Message) string {
	values := m.All("Auto-Submitted")
	if len(values) != 1 {
		return ""
	}
	keyword, _, _ := strings.Cut(values[0], ";")
	keyword, _, _ = strings.Cut(keyword, "(")
	return strings.ToLower(strings.TrimSpace(keyword))
}

// isReport reports whether p is a report (RFC 6522 section 3) of two parts or
// three, of which none brings a message back: a text for people, the report for
// machines, and the header of the message.
func isReport(p *message.Part) bool {
	if !p.Bare() || len(p.Children) < 2 || len(p.Children) > 3 {
		return false
	}
	return isText(p.Children[0]) && isFields(p.Children[1], reportTypes) &&
		(len(p.Children) == 2 || isFields(p.Children[2], headerTypes))
}

// The types of the second and the third part of a report.
var (
	reportTypes = []string{
		"message/delivery-status", "message/global-delivery-status",
		"message/disposition-notification", "message/global-disposition-notification",
	}
	headerTypes = []string{"text/rfc822-headers", "message/global-headers"}
)

// isText reports whether p is a text, or the same text in several forms, and
// nothing is attached to it.
func isText(p *message.Part) bool {
	switch p.MediaType {
	case "text/plain", "text/html":
		return p.Defect == "" && len(p.Names()) == 0
	case "multipart/alternative":
		return p.Bare() && !slices.ContainsFunc(p.Children, func(c *message.Part) bool { return c.Multipart() || !isText(c) })
	}
	return false
}

// isFields reports whether p is of one of the types and holds header fields, in
// groups for reports, and no body behind them.
func isFields(p *message.Part, types []string) bool {
	if p.Defect != "" || len(p.Children) > 0 || !slices.Contains(types, p.MediaType) {
		return false
	}
	text, err := p.Decode()
	if err != nil {
		return false
	}
	text = bytes.TrimSpace(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")))
	groups := bytes.Split(text, []byte("\n\n"))
	if slices.Contains(headerTypes, p.MediaType) && len(groups) > 1 {
		return false
	}
	for _, g := range groups {
		for i, line := range bytes.Split(g, []byte("\n")) {
			folded := i > 0 && len(line) > 0 && (line[0] == ' ' || line[0] == '\t')
			if !folded && !isField(line) {
				return false
			}
		}
	}
	return true
}

// isField reports whether a line begins a header field (RFC 5322 section 2.2).
func isField(line []byte) bool {
	name, _, found := bytes.Cut(line, []byte(":"))
	return found && len(name) > 0 && bytes.IndexFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}
