package relay

import (
	"mime"
	"strings"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/message"
	"github.com/smimerelay/smimerelay/smime"
)

// content finds out what the rules may ask of an outbound message.
func content(env *Envelope, msg *message.Message) (enforce.Content, error) {
	kind := smime.Inspect(msg)
	if kind.Defect != "" {
		return enforce.Content{}, fault.New(fault.Malformed, "the message is not well-formed: "+ascii(kind.Defect), nil)
	}
	c := enforce.Content{
		Header: make(map[string][]string), Size: len(msg.Bytes()),
		Signed: kind.Signed, Encrypted: kind.Encrypted, Exempt: isAutomatic(env, msg),
	}
	for _, f := range msg.Fields() {
		name := strings.ToLower(f.Name)
		c.Header[name] = append(c.Header[name], decoded(f.Value()))
	}
	msg.Root().Walk(func(p *message.Part) bool {
		if p.MediaType == "text/calendar" {
			c.Calendar = true
		}
		if name := p.Filename(); len(p.Children) == 0 && (name != "" || !strings.HasPrefix(p.MediaType, "text/")) {
			c.Attachments = append(c.Attachments, enforce.Attachment{MediaType: p.MediaType, Name: decoded(name)})
		}
		return true
	})
	return c, nil
}

// decoded returns s without encoded words (RFC 2047); as it is if they are of a
// charset that is not known.
func decoded(s string) string {
	if !strings.Contains(s, "=?") {
		return s
	}
	var d mime.WordDecoder
	out, err := d.DecodeHeader(s)
	if err != nil {
		return s
	}
	return out
}

// isAutomatic reports whether a message is a delivery report, a read receipt or
// an automatic reply that is not touched. Only the null sender counts, which
// people cannot use, and a report must not bring back a body: otherwise a
// header that anybody can write would be the way around encryption.
func isAutomatic(env *Envelope, m *message.Message) bool {
	if !env.Sender.IsNull() {
		return false
	}
	root := m.Root()
	if root.MediaType == "multipart/report" {
		return !returnsContent(root)
	}
	// Somebody who logged in to send it is no machine.
	return env.Client.User == "" && strings.HasPrefix(strings.ToLower(m.Get("Auto-Submitted")), "auto-replied")
}

// returnsContent reports whether anything under p but the text and the status
// could quote a message.
func returnsContent(p *message.Part) bool {
	found := false
	p.Walk(func(c *message.Part) bool {
		switch c.MediaType {
		case "multipart/report", "multipart/alternative", "text/plain", "text/html", "text/rfc822-headers",
			"message/delivery-status", "message/global-delivery-status", "message/disposition-notification",
			"message/global-disposition-notification", "message/global-headers":
		default:
			found = true
		}
		return !found
	})
	return found
}

func isEncrypted(m *message.Message) bool { return smime.Inspect(m).Encrypted }

func isSigned(m *message.Message) bool { return smime.Inspect(m).Signed }
