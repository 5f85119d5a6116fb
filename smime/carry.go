package smime

import (
	"bytes"
	"strings"

	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// maxSMTPLine is the longest line that SMTP carries, without its line end (RFC
// 5321 section 4.5.3.1.6).
const maxSMTPLine = 998

// carried returns the entity of m in a form that SMTP carries. Inside of
// encryption there need be no transfer encoding and no CRLF (RFC 8551 section
// 3.1.2). What fits stays as it is; of what does not, only the transfer encoding
// and the line ends change, and nothing that a signature covers.
func carried(m *message.Message) *message.Entity {
	c := carrier{message: m}
	fields := c.content(m.Root(), canonicalFields(contentFields(m)))
	return &message.Entity{Fields: fields, Body: c.pieces, Received: true, Of: m}
}

// carrier renders a MIME tree for SMTP.
type carrier struct {
	message *message.Message
	pieces  []message.Piece
	// readable says that the readers know no S/MIME.
	readable bool
	// objects are parts that are CMS objects, with what takes their place.
	objects map[*message.Part]*message.Message
	// failed is why a large part could not be read, or errInMemory.
	failed error
}

// A scanned is text that was looked at: in memory, or what is large of a part.
type scanned struct {
	message.Scan
	zero  bool          // it has a NUL
	large *message.Part // nil: Text has it
}

func scanText(text []byte) scanned {
	s := message.ScanLines(text)
	return scanned{Scan: s, zero: !s.ASCII && bytes.IndexByte(text, 0) >= 0}
}

// scan looks at the content of p, as it is or with CRLF line ends.
func (c *carrier) scan(p *message.Part, crlf bool) scanned {
	if !p.Large() {
		text := p.Content()
		if crlf {
			text = message.Canonical(text)
		}
		return scanText(text)
	}
	r := p.ContentReader()
	if crlf {
		r = message.CanonicalReader(r)
	}
	s, zero, err := message.ScanReader(r)
	c.fail(err)
	return scanned{Scan: s, zero: zero, large: p}
}

// fail notes the first failure.
func (c *carrier) fail(err error) {
	if c.failed == nil {
		c.failed = err
	}
}

// fits reports whether SMTP carries text as it is, with 8BITMIME where there are
// 8-bit octets.
func (s scanned) fits(limit int) bool { return s.CRLF && s.Longest <= limit && !s.zero }

// lines adds text with CRLF line ends.
func (c *carrier) lines(text []byte) {
	if len(text) > 0 {
		c.pieces = append(c.pieces, message.ScanLines(message.Canonical(text)))
	}
}

// part adds a part below the root, header and content.
func (c *carrier) part(p *message.Part) {
	at := len(c.pieces)
	c.pieces = append(c.pieces, message.Scan{})
	fields := c.content(p, canonicalFields(p.Fields))
	if len(fields) == 0 && p.Body == p.Start {
		return // not even the empty line
	}
	c.pieces[at] = message.ScanLines(message.WriteHeader(fields))
}

// content adds the content of p, and returns the header fields that it then
// needs.
func (c *carrier) content(p *message.Part, fields []message.Field) []message.Field {
	if inner := c.objects[p]; inner != nil {
		return c.object(inner)
	}
	if c.holdsObject(p) {
		return c.around(p, fields)
	}
	s := c.scan(p, false)
	switch {
	case s.fits(maxFieldLine) && !p.Ambiguous && p.Encoding != "binary":
		c.emit(s)
		return fields
	case clearlySigned(p):
		return c.signed(p, s, fields)
	case untouchable(p):
		c.emit(c.scan(p, true))
		return fields
	case p.Multipart():
		c.multipart(p)
		return eightBit(fields, p)
	case p.MediaType == "message/rfc822":
		c.part(p.Children[0])
		return eightBit(fields, p)
	}
	return c.leaf(p, s, fields)
}

func (c *carrier) emit(s scanned) {
	switch {
	case s.large != nil:
		c.pieces = append(c.pieces, message.LargeContent(s.large, s.Scan))
	case len(s.Text()) > 0:
		c.pieces = append(c.pieces, s.Scan)
	}
}

func (c *carrier) multipart(p *message.Part) {
	pos := p.Body
	for _, child := range p.Children {
		c.gap(pos, child.Start)
		c.part(child)
		pos = child.End
	}
	c.gap(pos, p.End)
}

// gap adds what stands between parts.
func (c *carrier) gap(from, to int) {
	if c.message.Cut(from, to) {
		c.fail(errInMemory)
	}
	c.lines(c.message.Between(from, to))
}

// leaf adds data. Line ends are CRLF in text, and in what says that it has lines;
// a CMS object has none, whatever its header says.
func (c *carrier) leaf(p *message.Part, s scanned, fields []message.Field) []message.Field {
	identity := p.Encoding == "7bit" || p.Encoding == "8bit" || p.Encoding == "binary"
	text := strings.HasPrefix(p.MediaType, "text/")
	octets := layerOf(p) == cmsLayer || p.Encoding == "binary" && !text
	crlf := !identity || !octets
	if crlf {
		s = c.scan(p, true)
	}
	if s.fits(maxFieldLine) {
		c.emit(s)
		return eightBit(fields, p)
	}
	encoding, piece, err := reencode(p, s, crlf)
	if err != nil {
		c.emit(s) // Apply says what is wrong with it
		return fields
	}
	c.pieces = append(c.pieces, piece)
	return withEncoding(fields, p, encoding)
}

// reencode chooses a transfer encoding for p, whose content is given, still
// encoded, as it is or with CRLF line ends.
func reencode(p *message.Part, s scanned, crlf bool) (encoding string, piece message.Piece, err error) {
	switch {
	case s.large != nil && crlf:
		return encodeStream(p, p.CanonicalReader)
	case s.large != nil:
		return encodeStream(p, p.DecodeReader)
	}
	content := s.Text()
	switch p.Encoding {
	case "base64":
		return encode(p)
	case "quoted-printable":
		content, err = message.DecodeQuoted(content)
	case "7bit", "8bit", "binary":
	default:
		err = errUnsafe
	}
	encoding, piece = encodeOctets(p, content)
	return encoding, piece, err
}

// signed adds a multipart/signed that SMTP does not carry as it is. The signed
// octets must stay: where their line ends or their encoding would have to change
// the signature becomes an opaque one, which is the same signature over the same
// octets in another form (RFC 8551 section 3.5).
func (c *carrier) signed(p *message.Part, s scanned, fields []message.Field) []message.Field {
	if p.Children[1].Large() {
		c.fail(errInMemory)
		return fields
	}
	object, data := signatureOf(p)
	if data == nil {
		c.emit(c.scan(p, true))
		return fields
	}
	content := &signature{data: data, clear: true}
	if p.Children[0].Large() {
		content.large = p.Children[0]
	} else {
		content.content = p.Children[0].Bytes()
	}
	if content.large != nil && data.OverContent() {
		c.fail(errInMemory)
		return fields
	}
	_, second := content.verify()
	if second {
		s, content.content = c.scan(p, true), message.Canonical(content.content)
	}
	if s.fits(maxSMTPLine) {
		c.emit(s)
		return eightBit(fields, p)
	}
	if s.large != nil {
		c.fail(errInMemory)
		return fields
	}
	if c.readable {
		return c.unsigned(p, fields)
	}
	opaque, err := cms.Enclose(object, [][]byte{content.content})
	if err != nil {
		c.lines(p.Content())
		return fields
	}
	c.pieces = append(c.pieces, message.Base64(opaque))
	return append(withoutType(fields), objectFields("signed-data")...)
}

// eightBit returns the fields of a part that SMTP carries without BINARYMIME.
func eightBit(fields []message.Field, p *message.Part) []message.Field {
	if p.Encoding == "binary" {
		return withEncoding(fields, p, "8bit")
	}
	return fields
}

// signatureOf reads the signature of a multipart/signed; nil where it cannot be
// read.
func signatureOf(p *message.Part) (object []byte, data *cms.SignedData) {
	object, err := p.Children[1].Decode()
	if err != nil {
		return nil, nil
	}
	if data, err = cms.ParseSignedData(object); err != nil {
		return nil, nil
	}
	return object, data
}

// canonicalFields returns fields with CRLF line ends, and with lines that SMTP carries where
// that is a matter of folding.
func canonicalFields(fields []message.Field) []message.Field {
	out := make([]message.Field, len(fields))
	for i, f := range fields {
		out[i] = message.Field{Name: f.Name, Raw: message.Canonical(f.Raw)}.Folded()
	}
	return out
}
