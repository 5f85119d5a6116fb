package smime

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strings"

	"github.com/smimerelay/smimerelay/smime/message"
)

// errUnsafe means that an entity cannot be made to pass mail relays unchanged
// without breaking something in it.
var errUnsafe = errors.New("cannot be made safe for a clear signature")

// errInMemory means that a large message must be in memory for what is to be done: what
// is large stands between its parts, or its line ends must change elsewhere than in what is
// large.
var errInMemory = errors.New("must be in memory")

// entity is a MIME entity that was converted: its header fields and the pieces
// of its body.
type entity struct {
	fields []message.Field
	body   []message.Piece
	// large says that not all of the body is in memory.
	large bool
}

// bytes returns the entity as it is signed; ok is false where a part of it will
// be encoded only when it is written.
func (e *entity) bytes() (list [][]byte, ok bool) {
	list = [][]byte{message.WriteHeader(e.fields)}
	for _, piece := range e.body {
		s, ok := piece.(message.Scan)
		if !ok {
			return nil, false
		}
		list = append(list, s.Text())
	}
	return list, true
}

// safeEntity returns the MIME entity of m in a form that passes mail relays
// unchanged (RFC 8551 section 3.1): 7-bit, CRLF, lines of at most 76 octets. The
// conversion looks at every octet of the body anyway, so that line ends other
// than CRLF are found by it, and only then is the whole made canonical.
func safeEntity(m *message.Message, p HeaderProtection) (*entity, error) {
	c := converter{whole: m}
	e, err := c.root(m, p)
	if message.LineEnds(m.Header()) == message.CRLF && !c.odd {
		return e, err
	}
	if m.Root().Large() {
		return nil, errInMemory
	}
	again, failed := canonical(m)
	if failed != nil {
		return nil, failed
	}
	if again == m {
		return e, err
	}
	c = converter{whole: again}
	return c.root(again, p)
}

func (c *converter) root(m *message.Message, p HeaderProtection) (*entity, error) {
	fields, err := innerFields(m, p)
	if err != nil {
		return nil, err
	}
	fields = plainFields(fields)
	if !travelsHeader(message.WriteHeader(fields)) {
		return nil, errUnsafe
	}
	if fields, err = c.content(m.Root(), fields); err != nil {
		return nil, err
	}
	return &entity{fields: fields, body: c.pieces, large: c.large}, nil
}

// maxFieldLine is the longest line of RFC 5322, with room for what relays add.
const maxFieldLine = 990

// travelsHeader is travels for header lines, which may end with a blank: no
// relay is known that strips them.
func travelsHeader(data []byte) bool {
	s := message.ScanLines(data)
	return s.ASCII && s.CRLF && s.Longest <= maxFieldLine
}

// converter rewrites a MIME tree into pieces; what stays as it is stays a piece
// of the message.
type converter struct {
	whole  *message.Message
	pieces []message.Piece
	odd    bool // a line end other than CRLF was seen
	large  bool // some of the pieces is not in memory
}

func (c *converter) scan(text []byte) message.Scan {
	s := message.ScanLines(text)
	c.odd = c.odd || !s.CRLF
	return s
}

func (c *converter) emit(piece message.Scan) {
	if len(piece.Text()) > 0 {
		c.pieces = append(c.pieces, piece)
	}
}

// unchanged takes the content of p as it is, if ok says so of it.
func (c *converter) unchanged(p *message.Part, ok func(message.Scan) bool) (taken bool, err error) {
	if !p.Large() {
		s := c.scan(p.Content())
		if taken = ok(s); taken {
			c.emit(s)
		}
		return taken, nil
	}
	s, _, err := scanLarge(p)
	if err != nil || !ok(s) {
		return false, err
	}
	c.large, c.pieces = true, append(c.pieces, message.LargeContent(p, s))
	return true, nil
}

// scanLarge looks at the content of a part with CRLF line ends, still encoded.
func scanLarge(p *message.Part) (s message.Scan, zero bool, err error) {
	return message.ScanReader(message.CanonicalReader(p.ContentReader()))
}

// part converts a part below the root, header and content.
func (c *converter) part(p *message.Part, fields []message.Field) error {
	c.scan(c.whole.Between(p.Start, p.Body))
	fields = plainFields(fields)
	if !travelsHeader(message.WriteHeader(fields)) {
		return errUnsafe
	}
	at := len(c.pieces)
	c.pieces = append(c.pieces, message.Scan{})
	fields, err := c.content(p, fields)
	c.pieces[at] = message.ScanLines(message.WriteHeader(fields))
	return err
}

// content converts the content of p and returns the header fields that it then
// needs.
func (c *converter) content(p *message.Part, fields []message.Field) ([]message.Field, error) {
	switch {
	case p.Multipart() && p.StructureDoubt() != "":
		// What is shown would depend on the reader, and the signature would speak
		// for each. An opaque one covers all there is.
		return nil, errUnsafe
	case untouchable(p):
		return fields, c.keep(p)
	case p.Multipart():
		return withEncoding(fields, p, "7bit"), c.multipart(p)
	case p.MediaType == "message/rfc822":
		return withEncoding(fields, p, "7bit"), c.message(p)
	}
	return c.leaf(p, fields)
}

// keep takes the content of p as it is.
func (c *converter) keep(p *message.Part) error {
	kept, err := c.unchanged(p, func(s message.Scan) bool { return s.Sturdy(maxFieldLine) && plainInside(p) })
	if err == nil && !kept {
		err = errUnsafe
	}
	return err
}

// plainFields returns the fields in their plain form.
func plainFields(fields []message.Field) []message.Field {
	out := make([]message.Field, len(fields))
	for i, f := range fields {
		out[i] = f.Plain()
	}
	return out
}

// oddField is a line that a relay may take for a field with white space before
// its colon, and write without.
var oddField = regexp.MustCompile(`(?m)^[!-9;-~]+[ \t]+:`)

// plainInside reports whether the headers in the content of p are as relays
// leave them.
func plainInside(p *message.Part) bool {
	if p.Multipart() && len(p.Children) == 0 {
		return !p.Large() && !oddField.Match(p.Content())
	}
	plain := true
	for _, child := range p.Children {
		child.Walk(func(c *message.Part) bool {
			for _, f := range c.Fields {
				plain = plain && bytes.Equal(f.Plain().Raw, f.Raw)
			}
			return plain
		})
	}
	return plain
}

// untouchable reports whether the content must stay byte for byte: something in
// it is signed or encrypted, or RFC 2045 section 6.4 forbids an encoding, or it
// cannot be understood well enough.
func untouchable(p *message.Part) bool {
	switch p.MediaType {
	case "multipart/signed", "multipart/encrypted":
		return true
	case "message/rfc822":
		return len(p.Children) == 0
	}
	return strings.HasPrefix(p.MediaType, "message/") || p.Multipart() && len(p.Children) == 0 ||
		p.Ambiguous
}

// multipart converts the parts; what is between them cannot be encoded.
func (c *converter) multipart(p *message.Part) error {
	pos := p.Body
	for _, child := range p.Children {
		if err := c.gap(pos, child.Start); err != nil {
			return err
		}
		if err := c.part(child, child.Fields); err != nil {
			return err
		}
		pos = child.End
	}
	return c.gap(pos, p.End)
}

func (c *converter) gap(from, to int) error {
	if c.whole.Cut(from, to) {
		return errInMemory
	}
	s := c.scan(c.whole.Between(from, to))
	if !s.Sturdy(maxFieldLine) {
		return errUnsafe
	}
	c.emit(s)
	return nil
}

// message converts a message inside the message. One that passes relays as it
// is stays byte for byte; one that bears a DKIM or ARC signature would lose it.
func (c *converter) message(p *message.Part) error {
	if err := c.keep(p); !errors.Is(err, errUnsafe) {
		return err
	}
	inner := p.Children[0]
	fields := inner.Fields
	for _, f := range fields {
		if f.Is("DKIM-Signature", "ARC-Message-Signature") {
			return errUnsafe
		}
	}
	if inner.Get("Content-Type") == "" {
		fields = append(fields[:len(fields):len(fields)], message.RawField("Content-Type", "text/plain; charset="+charsetOf(inner)))
	}
	if inner.Get("MIME-Version") == "" {
		fields = append(fields[:len(fields):len(fields)], message.RawField("MIME-Version", "1.0"))
	}
	return c.part(inner, fields)
}

// leaf converts a part that holds data.
func (c *converter) leaf(p *message.Part, fields []message.Field) ([]message.Field, error) {
	switch p.Encoding {
	case "7bit", "8bit", "binary", "base64", "quoted-printable":
	default:
		return fields, c.keep(p)
	}
	kept, err := c.unchanged(p, func(s message.Scan) bool { return s.Sturdy(safeLine) })
	switch {
	case err != nil:
		return nil, err
	case kept && (p.Encoding == "8bit" || p.Encoding == "binary"):
		return withEncoding(fields, p, "7bit"), nil
	case kept:
		return fields, nil
	}
	encode := encode
	if p.Large() {
		c.large, encode = true, encodeLarge
	}
	encoding, piece, err := encode(p)
	if err != nil {
		return nil, errUnsafe
	}
	c.pieces = append(c.pieces, piece)
	return withEncoding(fields, p, encoding), nil
}

// encode chooses a transfer encoding for p and applies it. Base64 stays base64, in
// other lines.
func encode(p *message.Part) (encoding string, piece message.Piece, err error) {
	if p.Encoding == "base64" {
		source, err := message.Decoded(p.Content())
		if err != nil {
			return "", nil, err
		}
		return "base64", message.Base64(source), nil
	}
	data, err := p.Decode()
	if err != nil {
		return "", nil, err
	}
	encoding, piece = encodeOctets(p, data)
	return encoding, piece, nil
}

// encodeLarge is encode for a part that is not in memory, with CRLF line ends.
func encodeLarge(p *message.Part) (encoding string, piece message.Piece, err error) {
	return encodeStream(p, p.CanonicalReader)
}

// encodeStream is encode for what open gives of a part each time, which it reads once to
// see that it can be decoded, and what it is.
func encodeStream(p *message.Part, open func() (io.Reader, error)) (encoding string, piece message.Piece, err error) {
	r, err := open()
	if err != nil {
		return "", nil, err
	}
	var d density
	if _, err := io.Copy(&d, r); err != nil {
		return "", nil, err
	}
	if p.Encoding != "base64" && quotable(p) && !d.binary() {
		return "quoted-printable", message.Encoded(open, message.EncodeQuoted), nil
	}
	return "base64", message.Encoded(open, message.EncodeBase64), nil
}

// encodeOctets chooses between base64 and quoted-printable for the decoded
// content of p.
func encodeOctets(p *message.Part, data []byte) (encoding string, piece message.Piece) {
	if quotable(p) && !denseBinary(data) {
		return "quoted-printable", message.Quoted(data)
	}
	return "base64", message.Base64(message.Octets(data))
}

// quotable reports whether the content of p is text of octets.
func quotable(p *message.Part) bool {
	name := strings.ToLower(p.Params["charset"])
	wide := strings.HasPrefix(name, "utf-16") || strings.HasPrefix(name, "utf-32") || strings.HasPrefix(name, "iso-10646")
	return strings.HasPrefix(p.MediaType, "text/") && !wide
}

// withEncoding returns the fields with the Content-Transfer-Encoding given; the
// fields themselves where they say so already.
func withEncoding(fields []message.Field, p *message.Part, encoding string) []message.Field {
	if p.Encoding == encoding {
		return fields
	}
	out := make([]message.Field, 0, len(fields)+1)
	for _, f := range fields {
		if !f.Is("Content-Transfer-Encoding") {
			out = append(out, f)
		}
	}
	return append(out, message.RawField("Content-Transfer-Encoding", encoding))
}

// safeLine is the longest line of a body part that is to be signed, without its
// line end: RFC 2045 section 6.7 allows 76 octets of quoted-printable.
const safeLine = 76

// denseBinary reports whether base64 is shorter than quoted-printable: an octet
// that needs escaping costs two more, and base64 costs a third of all.
func denseBinary(data []byte) bool {
	var d density
	d.count(data)
	return d.binary()
}

// A density counts the octets that quoted-printable escapes.
type density struct{ escaped, all int64 }

// Write is that of io.Writer.
func (d *density) Write(data []byte) (int, error) {
	d.count(data)
	return len(data), nil
}

func (d *density) count(data []byte) {
	n := 0
	for _, c := range data {
		if c >= 0x7f || c == '=' || c < ' ' && c != '\t' && c != '\r' && c != '\n' {
			n++
		}
	}
	d.escaped, d.all = d.escaped+int64(n), d.all+int64(len(data))
}

func (d *density) binary() bool { return d.escaped > d.all/6 }
