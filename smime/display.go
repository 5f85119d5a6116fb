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
