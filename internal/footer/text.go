package footer

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"mime"
	"strings"
	"unicode/utf8"

	"github.com/smimerelay/smimerelay/smime/message"
)

var errCharset = errors.New("the footer cannot be written in the character set")

// charsets are those in which ASCII is ASCII, octet by octet.
var charsets = []string{"us-ascii", "ascii", "utf-8", "iso-8859-", "windows-125", "koi8-"}

// edit changes one text.
func (f Footer) edit(p *message.Part) (edit, error) {
	old, err := p.Decode()
	if err != nil {
		return edit{}, err
	}
	charset := strings.ToLower(p.Params["charset"])
	if !compatible(charset) {
		return edit{}, errCharset
	}
	eol := "\r\n"
	if !bytes.Contains(old, []byte(eol)) && bytes.Contains(old, []byte("\n")) {
		eol = "\n"
	}
	var changed []byte
	if p.MediaType == "text/html" {
		changed, err = f.intoHTML(old, eol)
	} else {
		charset, changed, err = f.intoPlain(old, charset, eol, strings.EqualFold(p.Params["format"], "flowed"))
	}
	if err != nil {
		return edit{}, err
	}
	e := edit{part: p, fields: p.Fields}
	if charset != strings.ToLower(p.Params["charset"]) {
		if e.fields, err = withCharset(p, charset); err != nil {
			return edit{}, err
		}
	}
	e.encode(changed)
	return e, nil
}

// compatible reports whether ASCII text may be added to text of a charset.
func compatible(charset string) bool {
	if charset == "" {
		return true
	}
	for _, c := range charsets {
		if charset == c || strings.HasSuffix(c, "-") && strings.HasPrefix(charset, c) ||
			c == "windows-125" && strings.HasPrefix(charset, c) {
			return true
		}
	}
	return false
}

// encode chooses the transfer encoding: base64 stays it, and what is not short
// lines of ASCII becomes quoted-printable.
func (e *edit) encode(text []byte) {
	s := message.ScanLines(text)
	encoding := e.part.Encoding
	switch {
	case encoding == "base64":
		e.body = message.Base64(message.Octets(text))
		return
	case encoding == "7bit" && s.ASCII && s.CRLF && s.Longest <= 998:
		e.body = s
		return
	}
	e.body = message.Quoted(text)
	fields := e.fields
	e.fields = nil
	for _, f := range fields {
		if !f.Is("Content-Transfer-Encoding") {
			e.fields = append(e.fields, f)
		}
	}
	e.fields = append(e.fields, message.RawField("Content-Transfer-Encoding", "quoted-printable"))
}

// intoPlain adds the footer to plain text, and returns the charset that it then
// has: what is all ASCII can become UTF-8.
func (f Footer) intoPlain(old []byte, charset, eol string, flowed bool) (string, []byte, error) {
	text := f.plain(eol, flowed)
	if bytes.HasSuffix(bytes.TrimSpace(old), []byte(strings.TrimSpace(text))) {
		return "", nil, errKeep
	}
	ascii := message.ScanLines(old).ASCII
	add := []byte(text)
	switch {
	case message.ScanLines(add).ASCII || charset == "utf-8":
	case ascii && (charset == "" || strings.HasSuffix(charset, "ascii")) ||
		charset == "" && utf8.Valid(old):
		charset = "utf-8"
	case charset == "iso-8859-1" || charset == "windows-1252":
		var ok bool
		if add, ok = latin(text); !ok {
			return "", nil, errCharset
		}
	default:
		return "", nil, errCharset
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

// latin encodes text in the octets that ISO 8859-1 and Windows-1252 share.
func latin(text string) ([]byte, bool) {
	var out []byte
	for _, r := range text {
		if r > 0xff || r >= 0x80 && r < 0xa0 {
			return nil, false
		}
		out = append(out, byte(r))
	}
	return out, true
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

// numbered writes everything that is not ASCII as a character reference.
func numbered(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r >= 0x80 {
			fmt.Fprintf(&b, "&#%d;", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// withCharset returns the fields of p with another charset.
func withCharset(p *message.Part, charset string) ([]message.Field, error) {
	params := map[string]string{"charset": charset}
	for k, v := range p.Params {
		if k != "charset" {
			params[k] = v
		}
	}
	value := mime.FormatMediaType(p.MediaType, params)
	if value == "" {
		return nil, errCharset
	}
	field, err := message.NewField("Content-Type", value)
	if err != nil {
		return nil, err
	}
	fields := []message.Field{field}
	for _, f := range p.Fields {
		if !f.Is("Content-Type") {
			fields = append(fields, f)
		}
	}
	return fields, nil
}
