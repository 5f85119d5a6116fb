package message

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/quotedprintable"
	"strings"
)

// largeEdge is how much of the start of a content is in memory in any case, in octets,
// and largeLine how much of a line is looked at in one piece.
const (
	largeEdge = 4 << 10
	largeLine = 64 << 10
)

// A source is where a message is read from that is not in memory as a whole.
type source struct {
	r    io.ReaderAt
	cuts []cut
}

// A cut is where lines were left out: octets of them, behind the first at of what is in
// memory.
type cut struct {
	at     int
	octets int64
}

// offset returns where in the source the octet at pos is.
func (s *source) offset(pos int) int64 {
	at := int64(pos)
	for _, c := range s.cuts {
		if c.at < pos {
			at += c.octets
		}
	}
	return at
}

// cut reports whether lines are missing between two offsets.
func (s *source) cut(from, to int) bool {
	for _, c := range s.cuts {
		if from < c.at && c.at < to {
			return true
		}
	}
	return false
}

// reader reads what is between two offsets in the source.
func (s *source) reader(from, to int) io.Reader {
	start := s.offset(from)
	return io.NewSectionReader(s.r, start, s.offset(to)-start)
}

// ParseLarge is Parse for a message of size octets that r gives. Most lines of large
// contents are not in memory: what Bytes, Content, Decode and Between return lacks them,
// and Large says whether it does. Reader, ContentReader and DecodeReader have all. The
// tree is the one that Parse would make; all behind a header of which it is in doubt where
// it starts is in memory, and so is all behind a line of more than 64 kB that starts with
// two hyphens. Errors are those of r and ErrMalformed.
func ParseLarge(r io.ReaderAt, size int64) (*Message, error) {
	return parseLarge(r, size, largeEdge, largeLine)
}

func parseLarge(r io.ReaderAt, size int64, edge, line int) (*Message, error) {
	s := &source{r: r}
	o := outliner{source: s, edge: edge, buffer: line}
	if err := o.read(io.NewSectionReader(r, 0, size)); err != nil {
		return nil, err
	}
	if len(s.cuts) == 0 {
		return Parse(o.out)
	}
	return parseSource(o.out, s)
}

// An outliner leaves lines of contents out, and none that the structure of a message
// depends on: the headers, and the lines that start with two hyphens.
type outliner struct {
	source *source
	edge   int
	buffer int // how much of a line is looked at in one piece
	out    []byte
	header int    // where the header that is being read starts in out
	blocks int    // headers since the last line that may be a delimiter
	body   int    // octets of the content so far; negative in a header
	whole  bool   // nothing more is left out
	last   []byte // the last line or part of one, with the empty ones behind it
	left   int64  // octets left out before it
	doubt  bool   // what is next of this line may be a delimiter behind a bare CR
}

func (o *outliner) read(r io.Reader) error {
	b := bufio.NewReaderSize(r, o.buffer)
	o.body = -1
	start := true // of a line
	for {
		text, err := b.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !long && !errors.Is(err, io.EOF) {
			return err
		}
		if len(text) > 0 {
			o.line(text, start, !start || long)
		}
		if err != nil && !long {
			o.keep(nil)
			return nil
		}
		start = !long
	}
}

// line takes a line, or a part of one.
func (o *outliner) line(text []byte, start, part bool) {
	switch {
	case start && bytes.HasPrefix(text, []byte("--")):
		o.whole = o.whole || part || o.body < 0 && mayBeField(text)
		o.keep(text)
		o.header, o.blocks, o.body = len(o.out), 0, -1
	case o.body < 0:
		o.keep(text)
		if start && len(bytes.TrimRight(text, "\r\n")) == 0 {
			o.endHeader()
		}
	case o.whole, o.body < o.edge, o.doubtful(text, start):
		o.keep(text)
		o.body += len(text)
	case len(text) <= 2 && len(o.last) > 0:
		// The end of a part is before the line end of its last line, and so behind the cut.
		o.last = append(o.last, text...)
	default:
		o.left += int64(len(o.last))
		o.last = o.last[:0]
		if start && part {
			text = o.begin(text)
		}
		o.last = append(o.last, text...)
	}
}

// doubtful reports whether a bare CR and a hyphen are in a line, or around the edge of a
// part of one: some readers end a line there, see delimiterDoubt.
func (o *outliner) doubtful(text []byte, start bool) bool {
	cr := !start && o.before() == '\r'
	found := bytes.Contains(text, []byte("\r-"))
	doubtful := found || cr || !start && o.doubt
	o.doubt = found || cr && text[0] == '-'
	return doubtful
}

// before returns the last octet.
func (o *outliner) before() byte {
	if len(o.last) > 0 {
		return o.last[len(o.last)-1]
	}
	return o.out[len(o.out)-1]
}

// begin keeps the first octets of a line that is left out in parts, and returns the rest:
// none of the parts is the start of a line then, whatever it begins with.
func (o *outliner) begin(text []byte) []byte {
	if o.out[len(o.out)-1] != '\n' {
		return text // what was kept is within a line already
	}
	if o.left > 0 {
		o.source.cuts = append(o.source.cuts, cut{len(o.out), o.left})
		o.left = 0
	}
	n := 2 // no delimiter
	for n < len(text) && text[n-1] == '\r' {
		n++
	}
	o.out = append(o.out, text[:n]...)
	return text[n:]
}

// mayBeField reports whether a line that starts with hyphens, in a header, can be one of
// its fields: a delimiter would be the start of another header.
func mayBeField(line []byte) bool {
	_, ok := fieldName(line)
	return ok
}

// keep appends text, and before it the line that was held back.
func (o *outliner) keep(text []byte) {
	if o.left > 0 {
		o.source.cuts = append(o.source.cuts, cut{len(o.out), o.left})
	}
	o.out = append(append(o.out, o.last...), text...)
	o.left, o.last = 0, o.last[:0]
}

// endHeader finds out whether the content begins with a header of its own, as that of a
// message/rfc822 does. It says so too often rather than too rarely.
func (o *outliner) endHeader() {
	h := readHeader(o.out[o.header:], 0, func(int) bool { return false })
	p := Part{Fields: h.fields}
	p.describe("message/rfc822") // as in a multipart/digest
	// What is behind the limit is a header again.
	o.whole = o.whole || errors.Is(h.err, errHeaderSize)
	nested := h.err != nil || p.MediaType == "message/rfc822" || p.MediaType == "message/global"
	if o.blocks++; nested && o.blocks <= maxDepth {
		o.header = len(o.out)
		return
	}
	// Decoding may show lines that start with hyphens: see encodingDoubt.
	o.whole = o.whole || p.Multipart() && strings.EqualFold(p.Encoding, "quoted-printable")
	o.body = 0
}

// Cut reports whether Between lacks lines: see ParseLarge.
func (m *Message) Cut(from, to int) bool {
	return m.root.source != nil && m.root.source.cut(from, to)
}

// Large reports whether some of the content is not in memory: see ParseLarge.
func (p *Part) Large() bool { return p.source != nil && p.source.cut(p.Body, p.End) }

// Reader reads what Bytes returns, and all of it where that is large.
func (p *Part) Reader() io.Reader {
	if p.head != nil || p.source == nil {
		return bytes.NewReader(p.Bytes())
	}
	return p.source.reader(p.Start, p.End)
}

// ContentReader reads what Content returns, and all of it where that is large.
func (p *Part) ContentReader() io.Reader {
	if p.source == nil {
		return bytes.NewReader(p.Content())
	}
	return p.source.reader(p.Body, p.End)
}

// DecodeReader reads what Decode returns, and all of it where that is large. Its errors,
// and those of reading, are those of Decode and of the source.
func (p *Part) DecodeReader() (io.Reader, error) { return p.decoder(p.ContentReader()) }

// CanonicalReader is DecodeReader for the content with CRLF line ends: see Canonical.
func (p *Part) CanonicalReader() (io.Reader, error) {
	return p.decoder(CanonicalReader(p.ContentReader()))
}

// decoder decodes content as the part says.
func (p *Part) decoder(content io.Reader) (io.Reader, error) {
	switch {
	case p.identity():
		return content, nil
	case p.Encoding == "base64":
		return &base64Reader{r: content}, nil
	case p.Encoding == "quoted-printable":
		return quotedReader{quotedprintable.NewReader(content)}, nil
	}
	return nil, fmt.Errorf("%w %q", errEncoding, p.Encoding)
}

// A quotedReader says in its errors what was read.
type quotedReader struct{ r *quotedprintable.Reader }

// Read is that of io.Reader.
func (q quotedReader) Read(p []byte) (int, error) {
	n, err := q.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("quoted-printable: %w", err)
	}
	return n, err
}

// A base64Reader is DecodeBase64 as a stream.
type base64Reader struct {
	r    io.Reader
	in   []byte
	d    base64Decoder
	out  []byte // what of d.out was not read yet
	fail error  // behind out
}

// Read is that of io.Reader.
func (b *base64Reader) Read(p []byte) (int, error) {
	for len(b.out) == 0 {
		if b.fail != nil {
			return 0, b.fail
		}
		b.fill()
	}
	n := copy(p, b.out)
	b.out = b.out[n:]
	return n, nil
}

func (b *base64Reader) fill() {
	if b.in == nil {
		b.in, b.d.out = make([]byte, streamSize), make([]byte, 0, streamSize)
	}
	b.d.out = b.d.out[:0]
	n, err := b.r.Read(b.in)
	if wrong := b.d.more(b.in[:n]); wrong != nil {
		err = wrong
	} else if errors.Is(err, io.EOF) {
		if wrong := b.d.finish(); wrong != nil {
			err = wrong
		}
	}
	b.out, b.fail = b.d.out, err
}

// LargeContent returns a piece that is the content of p with CRLF line ends, all of it,
// still encoded; s is what ScanReader tells of it.
func LargeContent(p *Part, s Scan) Piece {
	return streamPiece{open: func() (io.Reader, error) { return CanonicalReader(p.ContentReader()), nil }, scan: s}
}

// Encoded returns a piece that is what open gives in a transfer encoding: encode is
// EncodeBase64 or EncodeQuoted. It is read again each time that the piece is written.
func Encoded(open func() (io.Reader, error), encode func(io.Writer) io.WriteCloser) Piece {
	return streamPiece{open: open, encode: encode}
}

// A streamPiece is a piece that is not in memory.
type streamPiece struct {
	open   func() (io.Reader, error)
	encode func(io.Writer) io.WriteCloser // nil: it is written as it is
	scan   Scan                           // of what is written as it is
}

func (p streamPiece) size() int { return 0 }

func (p streamPiece) check(limit int) error {
	if p.encode != nil {
		return nil
	}
	return p.scan.check(limit)
}

func (p streamPiece) appendTo(dst []byte) ([]byte, error) {
	b := bytes.NewBuffer(dst)
	err := p.writeTo(b)
	return b.Bytes(), err
}

func (p streamPiece) writeTo(w io.Writer) error {
	r, err := p.open()
	if err != nil {
		return err
	}
	if p.encode == nil {
		_, err = io.Copy(w, r)
		return err
	}
	e := p.encode(w)
	if _, err := io.Copy(e, r); err != nil {
		return err
	}
	return e.Close()
}

// ScanReader is ScanLines for what r gives, of which Text has nothing. zero says that
// there is a NUL. Of a line over 64 kB Longest has a part, and Fragile is in doubt.
func ScanReader(r io.Reader) (s Scan, zero bool, err error) {
	s = Scan{CRLF: true, ASCII: true}
	b := bufio.NewReaderSize(r, largeLine)
	for {
		line, err := b.ReadSlice('\n')
		full := errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !errors.Is(err, io.EOF) && !full {
			return s, zero, err
		}
		if full && line[len(line)-1] == '\r' { // its LF may be next
			if err := b.UnreadByte(); err != nil {
				return s, zero, err
			}
			line = line[:len(line)-1]
		}
		one := ScanLines(line)
		s.CRLF, s.ASCII, s.Fragile = s.CRLF && one.CRLF, s.ASCII && one.ASCII, s.Fragile || one.Fragile
		s.Longest = max(s.Longest, one.Longest)
		zero = zero || !one.ASCII && bytes.IndexByte(line, 0) >= 0
		if errors.Is(err, io.EOF) {
			return s, zero, nil
		}
	}
}
