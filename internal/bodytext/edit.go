package bodytext

import (
	"bytes"
	"errors"
	"maps"
	"mime"
	"strings"

	"github.com/smimerelay/smimerelay/smime/message"
)

// insertion is text that is put into the texts of a message.
type insertion struct {
	// plain returns plain text with what is inserted, and its charset; html the same for
	// HTML, whose charset stays. They fail with errKeep where nothing is to be done.
	plain func(old []byte, charset, eol string, flowed bool) (string, []byte, error)
	html  func(old []byte, eol string) ([]byte, error)
	// mark is a parameter of the Content-Type that is set to "1", and drop one that is
	// removed; "" is none.
	mark, drop string
}

// canonical returns m with CRLF line ends.
func canonical(m *message.Message) (*message.Message, error) {
	if m.LineEnd() == message.CRLF {
		return m, nil
	}
	return message.Parse(message.Canonical(m.Bytes()))
}

// find returns the texts of which a reader sees one: none where that cannot be
// known, or where some of what is seen is no text.
func find(p *message.Part) []*message.Part {
	switch {
	case p.Ambiguous || attached(p):
		return nil
	case p.MediaType == "text/plain" || p.MediaType == "text/html":
		return []*message.Part{p}
	case (p.MediaType == "multipart/mixed" || p.MediaType == "multipart/related") && len(p.Children) > 0 && p.Closed:
		return find(p.Children[0])
	case p.MediaType != "multipart/alternative" || !p.Closed:
		return nil
	}
	var all []*message.Part
	for _, c := range p.Children {
		texts := find(c)
		if len(texts) == 0 {
			return nil
		}
		all = append(all, texts...)
	}
	return all
}

func attached(p *message.Part) bool {
	d := p.Get("Content-Disposition")
	return len(d) >= 10 && bytes.EqualFold([]byte(d[:10]), []byte("attachment"))
}

// edit is a part with what takes its place.
type edit struct {
	part   *message.Part
	fields []message.Field
	body   message.Piece
}

// edits returns the changes of the texts that do not have what is inserted yet; ok is
// false where one of them cannot be changed.
func (in insertion) edits(texts []*message.Part) (edits []edit, ok bool) {
	for _, p := range texts {
		e, err := in.edit(p)
		if errors.Is(err, errKeep) {
			continue
		}
		if err != nil {
			return nil, false
		}
		edits = append(edits, e)
	}
	return edits, true
}

// splice puts edits into the entity of m.
func splice(m *message.Message, edits []edit) *message.Entity {
	root := m.Root()
	if edits[0].part == root {
		return &message.Entity{Fields: content(edits[0].fields), Body: []message.Piece{edits[0].body}, Received: true}
	}
	e := &message.Entity{Fields: content(root.Fields), Received: true}
	at := root.Body
	for _, c := range edits {
		e.Body = append(e.Body, message.Text(m.Between(at, c.part.Start)), message.Text(message.WriteHeader(c.fields)), c.body)
		at = c.part.End
	}
	e.Body = append(e.Body, message.Text(m.Between(at, root.End)))
	return e
}

// content returns the fields that belong to the body.
func content(fields []message.Field) []message.Field {
	var own []message.Field
	for _, f := range fields {
		if f.Structural() && !f.Is("MIME-Version") {
			own = append(own, f)
		}
	}
	return own
}

var errCharset = errors.New("the text cannot be written in the character set")

// charsets are those in which ASCII is ASCII, octet by octet.
var charsets = []string{"us-ascii", "ascii", "utf-8", "iso-8859-", "windows-125", "koi8-"}

// edit changes one text.
func (in insertion) edit(p *message.Part) (edit, error) {
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
		changed, err = in.html(old, eol)
	} else {
		charset, changed, err = in.plain(old, charset, eol, strings.EqualFold(p.Params["format"], "flowed"))
	}
	if err != nil {
		return edit{}, err
	}
	e := edit{part: p, fields: p.Fields}
	if in.mark != "" || in.drop != "" || charset != strings.ToLower(p.Params["charset"]) {
		if e.fields, err = in.withParams(p, charset); err != nil {
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

// withParams returns the fields of p with another charset, marked or not; "" is none.
func (in insertion) withParams(p *message.Part, charset string) ([]message.Field, error) {
	params := maps.Clone(p.Params)
	if params == nil {
		params = map[string]string{}
	}
	if charset != "" {
		params["charset"] = charset
	}
	delete(params, in.drop)
	if in.mark != "" {
		params[in.mark] = "1"
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
