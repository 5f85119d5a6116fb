package smime

import (
	"mime"
	"strings"

	"github.com/smimerelay/smimerelay/internal/bodytext"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/smime/message"
)

// HeaderProtection says how header fields are protected (RFC 9788).
type HeaderProtection string

// The ways. Clear copies the fields into what is signed; Cipher does and leaves
// outside only what the baseline policy shows (section 3.2.1): a Subject of
// "[...]", no Comments, no Keywords; and nothing else that repeats the subject. A message that is signed and then encrypted
// is signed with Cipher, since what is signed is what the fields go into.
const (
	HeadersOpen   HeaderProtection = ""
	HeadersClear  HeaderProtection = "clear"
	HeadersCipher HeaderProtection = "cipher"
	// HeadersCipherDisplay is HeadersCipher, and the texts begin with what is hidden, for
	// programs that do not read it in the header (a legacy display, section 5.2). A message
	// whose texts cannot be changed goes without.
	HeadersCipherDisplay HeaderProtection = "cipher, legacy display"
)

// hides reports whether p leaves a placeholder of the subject outside.
func (p HeaderProtection) hides() bool { return p == HeadersCipher || p == HeadersCipherDisplay }

// parameter is the value of the hp parameter (section 2.1.1).
func (p HeaderProtection) parameter() string {
	if p.hides() {
		return string(HeadersCipher)
	}
	return string(p)
}

// handling are fields about the way of a message, which are not the author's and
// change under way, and those that no recipient may see.
var handling = []string{
	"Received", "Return-Path", "Delivered-To", "X-Original-To", "DKIM-Signature", "DomainKey-Signature",
	"Authentication-Results", "Received-SPF", "X-SMIME-Status", "HP-Outer", "Bcc",
}

// protectable reports whether f is copied into the payload.
func protectable(f message.Field) bool {
	name := strings.ToLower(f.Name)
	return !f.Structural() && !f.Is(handling...) && !strings.HasPrefix(name, "arc-") && !strings.HasPrefix(name, "resent-")
}

// innerFields returns the header of the payload of m: its Content-* fields and,
// with header protection, copies of the author's fields.
func innerFields(m *message.Message, p HeaderProtection) ([]message.Field, error) {
	content := contentFields(m)
	if p == HeadersOpen {
		return content, nil
	}
	var fields, outer []message.Field
	concealed := concealment(m)
	for _, f := range m.Fields() {
		secret := p.hides() && concealed(f)
		if !protectable(f) && !(secret && topical(f)) {
			continue
		}
		fields = append(fields, f)
		if p.hides() && !secret {
			outer = append(outer, recorded(f))
		}
	}
	if p.hides() && m.Has("Subject") {
		outer = append(outer, recorded(placeholder))
	}
	for i, f := range content {
		if f.Is("Content-Type") {
			marked, err := withHP(m, p)
			if err != nil {
				return nil, err
			}
			content[i] = marked
		}
	}
	return append(append(fields, outer...), content...), nil
}

// placeholder is the Subject outside of a message that hides its own.
var placeholder = message.RawField("Subject", "[...]")

// recorded returns the HP-Outer field for a field as it stands outside (RFC 9788
// section 2.2.2).
func recorded(f message.Field) message.Field {
	return message.Field{Name: "HP-Outer", Raw: append([]byte("HP-Outer: "), f.Raw...)}
}

// withHP returns the Content-Type of m with the hp parameter (RFC 9788 section
// 2.1). One that is there already was about another message, and so was a mark of a
// legacy display that display did not set.
func withHP(m *message.Message, p HeaderProtection) (message.Field, error) {
	root := m.Root()
	params := map[string]string{}
	for name, value := range root.Params {
		if name != "hp" && (name != bodytext.DisplayMark || p == HeadersCipherDisplay) {
			params[name] = value
		}
	}
	if !m.Has("Content-Type") {
		params["charset"] = charset(m.Body())
	}
	value := mime.FormatMediaType(root.MediaType, params)
	if value == "" || root.Defect != "" {
		return message.Field{}, fault.New(fault.Malformed, "malformed message: a Content-Type that cannot be read", nil)
	}
	marked, err := message.NewField("Content-Type", value+`; hp="`+p.parameter()+`"`)
	if err != nil {
		return marked, fault.New(fault.Malformed, "malformed message: a Content-Type that cannot be written", err)
	}
	return marked, nil
}

// outerChange returns the change that makes entity the body of m, with the
// header fields that p leaves outside.
func outerChange(m *message.Message, p HeaderProtection, entity *message.Entity) message.Change {
	if !p.hides() {
		return message.Change{Remove: message.Field.NamesHidden, Entity: entity}
	}
	concealed := concealment(m)
	c := message.Change{Entity: entity, Remove: func(f message.Field) bool { return f.NamesHidden() || concealed(f) || f.Is("HP-Outer") }}
	if m.Has("Subject") {
		c.Append = []message.Field{placeholder}
	}
	return c
}
