package bodytext

import (
	"bytes"
	"errors"
	"html"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/internal/charset"
	"github.com/smimerelay/smimerelay/smime/message"
)

// RemoveLegacyDisplay returns m without the legacy display of the texts that are marked to
// begin with one, and without the marks (RFC 9788 section 4.5.3). What says anything but
// what known confirms, by name and value, stays: nothing is taken out that the reader of the
// header does not see. A message in which one of the texts cannot be changed comes back as
// it is.
func RemoveLegacyDisplay(m *message.Message, known func(name, value string) bool) (*message.Message, error) {
	if len(marked(m)) == 0 {
		return m, nil
	}
	lined, err := canonical(m)
	if err != nil {
		return nil, err
	}
	texts := marked(lined)
	edits, ok := insertion{plain: headed(known).fromPlain, html: headed(known).fromHTML, drop: DisplayMark}.edits(texts)
	if !ok || len(edits) != len(texts) {
		return m, nil
	}
	return lined.Apply(message.Change{Entity: splice(lined, edits)})
}

// marked returns the texts that a reader sees and that begin with a legacy display.
func marked(m *message.Message) []*message.Part {
	return slices.DeleteFunc(find(m.Root()), func(p *message.Part) bool { return p.Params[DisplayMark] != "1" })
}

// headed reports whether the header shows a field with a value.
type headed func(name, value string) bool

var errDisplay = errors.New("the text begins with something other than what the header shows")

// all reports whether every line is a field that the header shows.
func (h headed) all(lines string) bool {
	for line := range strings.Lines(lines) {
		name, value, found := strings.Cut(strings.TrimRight(line, "\r\n"), ": ")
		if !found || !h(name, value) {
			return false
		}
	}
	return lines != ""
}

// fromPlain removes the lines up to the first blank one, with it.
func (h headed) fromPlain(old []byte, name, eol string, _ bool) (string, []byte, error) {
	lines, rest, found := bytes.Cut(old, []byte(eol+eol))
	if name == "" {
		name = "us-ascii"
	}
	text, ok := charset.Decode(name, lines)
	if !found || !ok || !h.all(text) {
		return "", nil, errDisplay
	}
	return name, rest, nil
}

// fromHTML removes the element that the display is in, where it has no other in it than the
// one for its lines.
func (h headed) fromHTML(old []byte, _ string) ([]byte, error) {
	const start, end = `<div class="header-protection-legacy-display">`, "</div>"
	before, after, found := bytes.Cut(old, []byte(start))
	inside, rest, closed := bytes.Cut(after, []byte(end))
	if !found || !closed {
		return nil, errDisplay
	}
	lines := strings.TrimSpace(string(inside))
	lines = strings.TrimSuffix(strings.TrimPrefix(lines, "<pre>"), "</pre>")
	if strings.ContainsAny(lines, "<>") || !h.all(strings.TrimSpace(html.UnescapeString(lines))) {
		return nil, errDisplay
	}
	return append(bytes.Clone(before), bytes.TrimPrefix(bytes.TrimPrefix(rest, []byte("\r")), []byte("\n"))...), nil
}
