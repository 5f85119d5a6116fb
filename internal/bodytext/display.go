package bodytext

import (
	"bytes"
	"errors"
	"html"
	"strings"
	"unicode/utf8"

	"github.com/smimerelay/smimerelay/smime/message"
)

// DisplayMark is the parameter of the Content-Type of a text that begins with a legacy
// display (RFC 9788 section 2.1.2).
const DisplayMark = "hp-legacy-display"

// AddLegacyDisplay returns m with lines, such as "Subject: x", at the top of the texts
// that a reader sees, and these marked, so that programs that show the protected header do
// not show it twice (RFC 9788 section 5.2.2). A message in which one of the texts cannot
// be changed, as one that is signed, comes back as it is. An error means a message that
// cannot be parsed or written.
func AddLegacyDisplay(m *message.Message, lines []string) (*message.Message, error) {
	if len(lines) == 0 {
		return m, nil
	}
	lined, err := canonical(m)
	if err != nil {
		return nil, err
	}
	edits, ok := display(lines).insertion().edits(find(lined.Root()))
	if !ok || len(edits) == 0 {
		return m, nil
	}
	return lined.Apply(message.Change{Entity: splice(lined, edits)})
}

// display is the lines of a legacy display, none of which is empty.
type display []string

func (d display) insertion() insertion {
	return insertion{plain: d.intoPlain, html: d.intoHTML, mark: DisplayMark}
}

// intoPlain puts the lines and an empty one before the text (RFC 9788 section 5.2.2).
// Text that says nothing of its charset gets one: without a Content-Type it would have
// been found by looking at it.
func (d display) intoPlain(old []byte, charset, eol string, _ bool) (string, []byte, error) {
	charset, add, err := fit(strings.Join(d, eol)+eol+eol, old, charset)
	switch {
	case err != nil:
		return "", nil, err
	case charset != "":
	case message.ScanLines(old).ASCII:
		charset = "us-ascii"
	case utf8.Valid(old):
		charset = "utf-8"
	default:
		return "", nil, errCharset
	}
	return charset, append(add, old...), nil
}

var errBody = errors.New("no place in the HTML for a legacy display")

// intoHTML puts the element first into the body (RFC 9788 section 5.2.3). It is ASCII,
// whatever the charset.
func (d display) intoHTML(old []byte, eol string) ([]byte, error) {
	at, ok := bodyStart(old)
	if !ok {
		return nil, errBody
	}
	element := `<div class="header-protection-legacy-display"><pre>` + numbered(html.EscapeString(strings.Join(d, eol))) + "</pre></div>" + eol
	changed := append(bytes.Clone(old[:at]), element...)
	return append(changed, old[at:]...), nil
}

// lowerASCII is bytes.ToLower for ASCII alone: what is no UTF-8 keeps its length.
func lowerASCII(text []byte) []byte {
	lower := bytes.Clone(text)
	for i, c := range lower {
		if 'A' <= c && c <= 'Z' {
			lower[i] += 'a' - 'A'
		}
	}
	return lower
}

// bodyStart returns where the contents of the body begin: behind its tag, or at the very
// beginning of a fragment without one.
func bodyStart(text []byte) (at int, ok bool) {
	lower := lowerASCII(text)
	at = bytes.Index(lower, []byte("<body"))
	if at < 0 {
		return 0, !bytes.Contains(lower, []byte("<html")) && !bytes.Contains(lower, []byte("<head")) && !bytes.Contains(lower, []byte("<!doctype"))
	}
	quote := byte(0)
	for i := at + len("<body"); i < len(text); i++ {
		switch c := text[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			return i + 1, true
		}
	}
	return 0, false
}
