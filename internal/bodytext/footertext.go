package bodytext

import (
	"bytes"
	"html"
	"strings"
)

// insertion puts the footer behind the texts.
func (f Footer) insertion() insertion { return insertion{plain: f.intoPlain, html: f.intoHTML} }

// intoPlain adds the footer to plain text, and returns the charset that it then
// has: what is all ASCII can become UTF-8.
func (f Footer) intoPlain(old []byte, charset, eol string, flowed bool) (string, []byte, error) {
	text := f.plain(eol, flowed)
	if bytes.HasSuffix(bytes.TrimSpace(old), []byte(strings.TrimSpace(text))) {
		return "", nil, errKeep
	}
	charset, add, err := fit(text, old, charset)
	if err != nil {
		return "", nil, err
	}
	changed := bytes.Clone(old)
	if len(changed) > 0 && !bytes.HasSuffix(changed, []byte("\n")) {
		changed = append(changed, eol...)
	}
	changed = append(changed, eol...)
	return charset, append(changed, add...), nil
}

// plain is the footer as lines of plain text. In format=flowed no line may end
// with a blank, or it would flow into the next, and some beginnings are stuffed
// (RFC 3676 section 4.4).
func (f Footer) plain(eol string, flowed bool) string {
	var b strings.Builder
	for line := range strings.Lines(strings.TrimRight(strings.ReplaceAll(f.Text, "\r\n", "\n"), "\n")) {
		line = strings.TrimSuffix(line, "\n")
		if flowed {
			if line != "-- " {
				line = strings.TrimRight(line, " ")
			}
			if strings.HasPrefix(line, " ") || strings.HasPrefix(line, ">") || strings.HasPrefix(line, "From ") {
				line = " " + line
			}
		}
		b.WriteString(line + eol)
	}
	return b.String()
}

// intoHTML adds the footer before the end of the body. It is ASCII, whatever the
// charset: other characters are written by number.
func (f Footer) intoHTML(old []byte, eol string) ([]byte, error) {
	fragment := f.HTML
	if fragment == "" {
		fragment = "<p>" + strings.ReplaceAll(html.EscapeString(strings.TrimSpace(f.plain("\n", false))), "\n", "<br>\n") + "</p>"
	}
	fragment = strings.ReplaceAll(numbered(strings.TrimSpace(fragment)), "\n", eol) + eol
	at := len(old)
	lower := bytes.ToLower(old)
	if len(lower) != len(old) {
		lower = old // a letter of another length: look for the usual spelling
	}
	for _, end := range []string{"</body", "</html"} {
		if i := bytes.LastIndex(lower, []byte(end)); i >= 0 {
			at = i
			break
		}
	}
	if bytes.HasSuffix(bytes.TrimSpace(old[:at]), []byte(strings.TrimSpace(fragment))) {
		return nil, errKeep
	}
	changed := append(bytes.Clone(old[:at]), eol...)
	changed = append(changed, fragment...)
	return append(changed, old[at:]...), nil
}
