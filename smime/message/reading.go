package message

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
)

// Mail readers differ wherever a message is not plain: which of two fields of
// one name counts, what a comment or a backslash in a parameter means, where a
// header ends. Doubt and its helpers know the one form that all of them read
// alike. It is stricter than the grammar on purpose: what is signed must be
// what is shown, whatever the reader (RFC 8551 section 3.5.3).

// Doubt says why two readers may find different parts in p, "" if all of them
// find those of the tree. It looks at the header of p and, for a multipart, at
// its delimiter lines; not at what is in the children, and not at fields that
// say nothing about the structure.
func (p *Part) Doubt() string {
	for _, f := range p.Fields {
		if d := f.doubt(); d != "" {
			return d
		}
	}
	if d := p.StructureDoubt(); d != "" || !p.Multipart() || p.Closed {
		return d
	}
	return "a multipart without its closing delimiter"
}

// StructureDoubt is Doubt without the form of the fields, which Field.Plain
// mends, and without the end of the last part, which what stands around p may
// tell.
func (p *Part) StructureDoubt() string {
	if d := p.headerDoubt(); d != "" || !p.Multipart() {
		return d
	}
	if d := p.boundaryDoubt(); d != "" {
		return d
	}
	if d := p.delimiterDoubt(); d != "" {
		return d
	}
	return p.encodingDoubt()
}

// single are the fields of a MIME entity of which readers take the first or the
// last.
var single = []string{"Content-Type", "Content-Transfer-Encoding", "Content-Disposition", "MIME-Version"}

// headerDoubt looks at the header alone.
func (p *Part) headerDoubt() string {
	if p.Defect != "" {
		return p.Defect
	}
	for _, name := range single {
		if count(p.Fields, name) > 1 {
			return "more than one " + name
		}
	}
	for _, f := range p.Fields {
		if f.Is("Content-Type") {
			var room fewParams
			if _, err := plainValue(f, room[:0]); err != nil {
				return fmt.Sprintf("Content-Type %q: %v", f.Value(), err)
			}
		}
		if f.Is("Content-Transfer-Encoding") && !isToken(f.Value()) {
			return fmt.Sprintf("Content-Transfer-Encoding %q is not one word", f.Value())
		}
	}
	return ""
}

// doubt says why a reader may end the header at f or take it for another field.
// Some do at white space before the colon (RFC 5322 section 4.5.8), and at a
// line with nothing but blanks (section 4.2).
func (f Field) doubt() string {
	name, rest, _ := bytes.Cut(f.Raw, []byte(":"))
	if len(name) != len(f.Name) {
		return fmt.Sprintf("white space between the name of field %q and its colon", f.Name)
	}
	if bytes.IndexByte(rest, 0) >= 0 {
		return fmt.Sprintf("a NUL in field %q", f.Name)
	}
	for line := range bytes.Lines(rest) {
		if len(bytes.Trim(line, " \t\r\n")) == 0 && (line[0] == ' ' || line[0] == '\t') && !first(rest, line) {
			return fmt.Sprintf("a blank line in field %q", f.Name)
		}
	}
	return ""
}

// Plain returns f in the form that doubt has nothing to say about. Postfix writes
// fields of nested headers so, and breaks a signature over any other form.
func (f Field) Plain() Field {
	if f.doubt() == "" {
		return f
	}
	_, rest, _ := bytes.Cut(f.Raw, []byte(":"))
	raw := append([]byte(f.Name), ':')
	for line := range bytes.Lines(rest) {
		if len(bytes.Trim(line, " \t\r\n")) > 0 || first(rest, line) {
			raw = append(raw, line...)
		}
	}
	return Field{Name: f.Name, Raw: raw}
}

// first reports whether line is what text starts with.
func first(text, line []byte) bool { return &text[0] == &line[0] }

// plainParam is a parameter in the plain form.
type plainParam struct {
	name, value string
	quoted      bool
}

// fewParams is room for those that nearly all fields do with.
type fewParams [4]plainParam

// plainValue reads a value of the form of Content-Type or Content-Disposition
// that has the plain form: words with parameters, each a name, an equals sign
// and a word or a quoted-string without backslashes, folded only where white
// space may stand. No comments, no parameter twice, none of RFC 2231 beside
// its plain form. The parameters are appended to params.
func plainValue(f Field, params []plainParam) ([]plainParam, error) {
	_, value, _ := bytes.Cut(f.Raw, []byte(":"))
	l := plainLexer{s: string(value)}
	l.blanks()
	l.run("/")
	for l.blanks(); l.i < len(l.s); l.blanks() {
		if l.s[l.i] != ';' {
			return nil, fmt.Errorf("%q cannot stand there", l.s[l.i])
		}
		l.i++
		if l.blanks(); l.i == len(l.s) || l.s[l.i] == ';' {
			continue
		}
		p, err := l.param()
		if err != nil {
			return nil, err
		}
		for _, other := range params {
			if base(other.name) == base(p.name) {
				return nil, fmt.Errorf("parameter %q is there twice", base(p.name))
			}
		}
		params = append(params, p)
	}
	return params, nil
}

// base is the name of a parameter without what RFC 2231 adds.
func base(name string) string {
	name, _, _ = strings.Cut(name, "*")
	return name
}

type plainLexer struct {
	s string
	i int
}

func (l *plainLexer) blanks() {
	for l.i < len(l.s) && strings.IndexByte(" \t\r\n", l.s[l.i]) >= 0 {
		l.i++
	}
}

// run reads token characters and those in more.
func (l *plainLexer) run(more string) string {
	start := l.i
	for l.i < len(l.s) && (tokenOctet[l.s[l.i]] || strings.IndexByte(more, l.s[l.i]) >= 0) {
		l.i++
	}
	return l.s[start:l.i]
}

// loose are the characters that a value needs quotes for and that no reader
// minds without.
const loose = "/:,?=@"

func (l *plainLexer) param() (plainParam, error) {
	p := plainParam{name: strings.ToLower(l.run(""))}
	if p.name == "" || l.i == len(l.s) || l.s[l.i] != '=' {
		return p, fmt.Errorf("parameter %q has no value", p.name)
	}
	l.i++
	if l.i < len(l.s) && l.s[l.i] == '"' {
		end := strings.IndexByte(l.s[l.i+1:], '"')
		if end < 0 {
			return p, fmt.Errorf("parameter %q has no closing quote", p.name)
		}
		p.value, p.quoted = l.s[l.i+1:l.i+1+end], true
		l.i += end + 2
	} else if p.value = l.run(loose); p.value == "" {
		return p, fmt.Errorf("parameter %q has no value", p.name)
	}
	for _, c := range []byte(p.value) {
		if c < ' ' || c >= 0x7f || c == '\\' {
			return p, fmt.Errorf("parameter %q has %q in its value", p.name, c)
		}
	}
	if strings.Contains(p.value, "=?") {
		return p, fmt.Errorf("parameter %q has an encoded word in its value", p.name)
	}
	return p, nil
}

// Plain returns the value of a parameter of the Content-Type that the structure
// hangs on, such as boundary and protocol: a token or a quoted-string, there
// once. It fails where readers may come to another one.
func (p *Part) Plain(name string) (string, error) {
	for _, f := range p.Fields {
		if !f.Is("Content-Type") {
			continue
		}
		var room fewParams
		params, err := plainValue(f, room[:0])
		if err != nil {
			return "", err
		}
		for _, got := range params {
			switch {
			case got.name == name && !got.quoted && !plainToken(got):
				return "", fmt.Errorf("parameter %q needs quotes around %q", name, got.value)
			case got.name == name:
				return got.value, nil
			case base(got.name) == name:
				return "", fmt.Errorf("parameter %q is in a form of RFC 2231", name)
			}
		}
	}
	return "", fmt.Errorf("there is no parameter %q", name)
}

// plainToken reports whether a value can do without quotes. The slash of a
// protocol cannot, and yet no reader minds.
func plainToken(p plainParam) bool {
	if p.name == "protocol" {
		return isToken(strings.Replace(p.value, "/", "", 1))
	}
	return isToken(p.value)
}

// boundaryDoubt looks at the boundary of a multipart: characters of RFC 2046
// section 5.1.1, and blanks at neither end.
func (p *Part) boundaryDoubt() string {
	b, err := p.Plain("boundary")
	if err != nil {
		return err.Error()
	}
	if b != strings.Trim(b, " ") {
		return fmt.Sprintf("boundary %q starts or ends with a blank", b)
	}
	for _, c := range []byte(b) {
		if !tokenOctet[c] && strings.IndexByte("(),/:=? ", c) < 0 {
			return fmt.Sprintf("boundary %q has %q in it", b, c)
		}
	}
	return ""
}

// delimiterDoubt compares the lines that start with "--" and the boundary with
// those that are in the tree. Readers differ on what may follow the boundary
// (RFC 2046 section 5.1.1 allows them to compare the beginning only), on what
// comes behind the closing delimiter, and on whether a bare CR ends a line.
func (p *Part) delimiterDoubt() string {
	delimiter := []byte("--" + p.Params["boundary"])
	lines, text := 0, p.Content()
	for pos := 0; ; pos++ {
		i := bytes.Index(text[pos:], delimiter)
		if i < 0 {
			break
		}
		if pos += i; pos == 0 || text[pos-1] == '\n' || text[pos-1] == '\r' {
			lines++
		}
	}
	delimiters := len(p.Children)
	if p.Closed {
		delimiters++
	}
	if lines != delimiters {
		return fmt.Sprintf("%d lines start like a delimiter and %d are", lines, delimiters)
	}
	for _, child := range p.Children {
		if inner, ok := child.Swallows(p.Params["boundary"]); ok {
			return fmt.Sprintf("boundary %q starts with that of an open part inside, %q", p.Params["boundary"], inner)
		}
	}
	return ""
}

// Swallows returns the boundary of a multipart in p that has no closing delimiter
// and would end, for a reader that compares the beginning of a line only, at a
// delimiter of boundary, which stands around it.
func (p *Part) Swallows(boundary string) (inner string, found bool) {
	p.Walk(func(c *Part) bool {
		b := c.Params["boundary"]
		if c.Multipart() && !c.Closed && b != "" && strings.HasPrefix(boundary, b) {
			inner, found = b, true
		}
		return !found
	})
	return inner, found
}

// encodingDoubt looks at an encoding on a multipart. RFC 2045 section 6.4
// forbids it and so leaves the content as it is; some mail programs write one
// all the same. It is passed over where a reader that decodes shows the same.
func (p *Part) encodingDoubt() string {
	if p.identity() {
		return ""
	}
	what := fmt.Sprintf("Content-Transfer-Encoding %q on a multipart", p.Encoding)
	if p.Encoding != "quoted-printable" {
		return what
	}
	fields := make([]Field, 0, len(p.Fields))
	for _, f := range p.Fields {
		if !f.Is("Content-Transfer-Encoding") {
			fields = append(fields, f)
		}
	}
	decoded, err := Parse(append(WriteHeader(fields), looseQuoted(p.Content())...))
	if err != nil || !sameParts(p.Children, decoded.Root().Children) {
		return what + ": readers that decode it show something else"
	}
	return ""
}

// sameParts reports whether a reader shows the same for both lists. A signature
// (RFC 1847 section 2.1) is not shown.
func sameParts(a, b []*Part) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(WriteHeader(a[i].Fields), WriteHeader(b[i].Fields)) || !sameParts(a[i].Children, b[i].Children) {
			return false
		}
		if len(a[i].Children) == 0 && !strings.HasSuffix(a[i].MediaType, "-signature") && !bytes.Equal(shown(a[i]), shown(b[i])) {
			return false
		}
	}
	return true
}

// shown is the content of a leaf as a reader decodes it.
func shown(p *Part) []byte {
	if p.Encoding == "quoted-printable" {
		return looseQuoted(p.Content())
	}
	if data, err := p.Decode(); err == nil {
		return data
	}
	return p.Content()
}

// looseQuoted decodes quoted-printable and leaves what is none as it is.
func looseQuoted(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		var octet [1]byte
		switch {
		case bytes.HasPrefix(text, []byte("=\r\n")):
			text = text[3:]
			continue
		case bytes.HasPrefix(text, []byte("=\n")):
			text = text[2:]
			continue
		case text[0] == '=' && len(text) > 2:
			if _, err := hex.Decode(octet[:], text[1:3]); err == nil {
				out, text = append(out, octet[0]), text[3:]
				continue
			}
		}
		out, text = append(out, text[0]), text[1:]
	}
	return out
}

// PlainNames returns the file names that p has, in Content-Type and in
// Content-Disposition. It fails where readers may come to others.
func (p *Part) PlainNames() ([]string, error) {
	var names []string
	for _, f := range p.Fields {
		if !f.Is("Content-Type", "Content-Disposition") {
			continue
		}
		var room fewParams
		params, err := plainValue(f, room[:0])
		if err != nil {
			return nil, fmt.Errorf("%s %q: %w", f.Name, f.Value(), err)
		}
		for _, got := range params {
			switch {
			case got.name == "name" || got.name == "filename":
				names = append(names, got.value)
			case base(got.name) == "name" || base(got.name) == "filename":
				return nil, fmt.Errorf("%s %q: parameter %q is in a form of RFC 2231", f.Name, f.Value(), base(got.name))
			}
		}
	}
	return names, nil
}
