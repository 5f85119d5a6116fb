package smime

import (
	"strings"
	"unicode"

	"github.com/smimerelay/smimerelay/internal/bodytext"
	charsets "github.com/smimerelay/smimerelay/internal/charset"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/smime/message"
)

// informational are the hidden fields that readers show (RFC 5322 section 3.6.5).
var informational = []string{"Subject", "Comments", "Keywords"}

// display adds the legacy display that p asks for, and returns p as withHP needs it:
// HeadersCipherDisplay only where the root is the text that got it.
func display(m *message.Message, p HeaderProtection) (*message.Message, HeaderProtection, error) {
	if p != HeadersCipherDisplay {
		return m, p, nil
	}
	var lines []string
	for _, f := range m.Fields() {
		if !f.Is(informational...) {
			continue
		}
		if text, ok := charsets.Header(f.Value()); ok && strings.TrimSpace(text) != "" {
			lines = append(lines, f.Name+": "+oneLine(text))
		}
	}
	shown, err := bodytext.AddLegacyDisplay(m, lines)
	if err != nil {
		return nil, p, fault.New(fault.Malformed, "malformed message: the hidden header fields cannot be shown in its text", err)
	}
	if shown == m || shown.Root().Multipart() {
		p = HeadersCipher
	}
	return shown, p, nil
}

// withoutDisplay returns a decrypted message without its legacy display, where the change
// brings the header of its payload to the surface: readers would see that twice, and programs
// take it for the text (RFC 9788 section 4.8.2). What is still signed, and what cannot be
// changed, stays.
func withoutDisplay(inner *message.Message, payload *message.Part, change message.Change) *message.Message {
	if len(change.Append) == 0 {
		return inner
	}
	bare, err := bodytext.RemoveLegacyDisplay(inner, func(name, value string) bool {
		for _, f := range payload.Fields {
			if text, ok := charsets.Header(f.Value()); ok && f.Is(name) && (f.Is(restorable...) || topical(f)) && oneLine(text) == oneLine(value) {
				return true
			}
		}
		return false
	})
	if err != nil {
		return inner
	}
	return bare
}

// oneLine returns text without line ends and control characters: a line must not end the
// display before its time.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
	return strings.Join(strings.Fields(text), " ")
}
