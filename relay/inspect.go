package relay

import (
	"strings"

	"github.com/smimerelay/smimerelay/internal/message"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// isEncrypted reports whether the message is an S/MIME encrypted one. The media
// type alone proves nothing: the content is looked at, or plain text under a
// false name would pass for encrypted.
func isEncrypted(m *message.Message) bool {
	switch contentType(m.Root()) {
	case cms.TypeEnveloped, cms.TypeAuthEnveloped:
		return true
	}
	return false
}

// isSigned reports whether the message is an S/MIME signed one (RFC 8551
// section 3.5), whether or not the signature is good.
func isSigned(m *message.Message) bool {
	root := m.Root()
	if root.MediaType == "multipart/signed" {
		return len(root.Children) == 2 && isPKCS7(root.Children[1].MediaType, "signature")
	}
	return contentType(root) == cms.TypeSigned
}

// contentType returns the CMS content type of an application/pkcs7-mime part,
// or of one that goes by a generic name (RFC 8551 section 3.10); "" for others.
func contentType(p *message.Part) cms.Type {
	if !isPKCS7(p.MediaType, "mime") && !(p.MediaType == "application/octet-stream" && strings.HasSuffix(strings.ToLower(p.Filename()), ".p7m")) {
		return ""
	}
	content, err := p.Decode()
	if err != nil {
		return ""
	}
	t, err := cms.ContentType(content)
	if err != nil {
		return ""
	}
	return t
}

func isPKCS7(mediaType, kind string) bool {
	return mediaType == "application/pkcs7-"+kind || mediaType == "application/x-pkcs7-"+kind
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
	return strings.HasPrefix(strings.ToLower(m.Get("Auto-Submitted")), "auto-replied")
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
