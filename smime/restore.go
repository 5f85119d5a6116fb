package smime

import (
	"mime"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// restorable are the fields that a decrypted payload may bring to the surface:
// an author's, and of those only what readers show or thread by. Nothing that
// says how a message travelled or what a server found out about it is among
// them, so that no sender can forge it from inside.
var restorable = []string{
	"From", "Sender", "Reply-To", "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To", "References",
}

// repeated are the fields that may stand more than once (RFC 5322 section 3.6).
var repeated = []string{"Comments", "Keywords"}

// protectedHeader tells whether the payload says that it protects its header.
func protectedHeader(payload *message.Part) bool {
	hp := strings.ToLower(payload.Params["hp"])
	return hp == string(HeadersClear) || hp == string(HeadersCipher)
}

// sameAuthor reports whether the From of the payload names the mailboxes that
// the From of m does (RFC 9788 section 4.4). Another name for the same mailbox is
// no difference.
func sameAuthor(m *message.Message, payload *message.Part) bool {
	switch len(payload.All("From")) {
	case 0:
		return true
	case 1:
	default:
		return false
	}
	inner, err := payload.Addresses("From")
	if err != nil {
		return false
	}
	outer, err := m.Addresses("From")
	return err == nil && slices.EqualFunc(inner, outer, func(a, b address.Address) bool {
		return a.Equal(b, address.IgnoreCase)
	})
}

// restored returns the change that brings the protected fields of a decrypted
// payload to the surface in place of those outside. Nothing is restored when a
// field that must be single is not, or From is another.
func restored(m *message.Message, payload *message.Part) message.Change {
	if !strings.EqualFold(payload.Params["hp"], string(HeadersCipher)) {
		return message.Change{}
	}
	return surfaced(m, payload)
}

// surfaced is restored for a payload that is known to protect its header.
func surfaced(m *message.Message, payload *message.Part) message.Change {
	if !sameAuthor(m, payload) {
		return message.Change{}
	}
	var names []string
	var fields []message.Field
	for _, f := range payload.Fields {
		if !f.Is(restorable...) && !topical(f) {
			continue
		}
		if f.Is(names...) && !f.Is(repeated...) {
			return message.Change{}
		}
		ascii, ok := asciiField(f)
		if !ok {
			continue
		}
		names, fields = append(names, f.Name), append(fields, ascii)
	}
	return message.Change{Remove: message.Named(names...), Append: fields}
}

// asciiField returns f as it can travel everywhere: text that cannot as encoded
// words (RFC 2047), which only an unstructured field allows.
func asciiField(f message.Field) (message.Field, bool) {
	raw := message.Canonical(f.Raw)
	if travelsHeader(raw) {
		return message.Field{Name: f.Name, Raw: raw}, true
	}
	value := f.Value()
	if !topical(f) || !utf8.ValidString(value) {
		return f, false
	}
	encoded, err := message.NewField(f.Name, mime.QEncoding.Encode("utf-8", value))
	return encoded, err == nil
}
