package message

import (
	"bytes"
	"errors"
	"io"
)

// streamSize is the buffer of what is done to a stream, in octets.
const streamSize = 32 << 10

// EncodeBase64 returns a writer that hands on what Base64 would render to w. Close writes
// the last line, and does not close w.
func EncodeBase64(w io.Writer) io.WriteCloser { return &base64Writer{w: w} }

type base64Writer struct {
	w    io.Writer
	held []byte // less than a line
	out  []byte
}

// Write is that of io.Writer.
func (b *base64Writer) Write(p []byte) (int, error) {
	size := len(p)
	if len(b.held) > 0 {
		n := min(lineIn-len(b.held), len(p))
		b.held, p = append(b.held, p[:n]...), p[n:]
		if len(b.held) < lineIn {
			return size, nil
		}
		if err := b.put(b.held); err != nil {
			return 0, err
		}
		b.held = b.held[:0]
	}
	for len(p) >= lineIn {
		n := min(len(p), streamSize) / lineIn * lineIn
		if err := b.put(p[:n]); err != nil {
			return 0, err
		}
		p = p[n:]
	}
	b.held = append(b.held, p...)
	return size, nil
}

// Close is that of io.Closer.
func (b *base64Writer) Close() error { return b.put(b.held) }

// put encodes up to streamSize octets.
func (b *base64Writer) put(octets []byte) error {
	if b.out == nil {
		b.out = make([]byte, encodedLen(streamSize))
	}
	size := encodedLen(len(octets))
	encodeLines(b.out[:size], octets)
	_, err := b.w.Write(b.out[:size])
	return err
}

// EncodeQuoted returns a writer that hands on what Quoted would render to w. Close writes
// the last line, and does not close w.
func EncodeQuoted(w io.Writer) io.WriteCloser { return &quotedWriter{w: w} }

type quotedWriter struct {
	w    io.Writer
	q    quoter
	held []byte // of a line, as much as its end may change
}

// Write is that of io.Writer.
func (q *quotedWriter) Write(p []byte) (int, error) {
	size := len(p)
	for len(p) > 0 {
		n := min(len(p), streamSize)
		q.held = append(q.held, p[:n]...)
		p = p[n:]
		rest := q.held
		for {
			line, behind, found := bytes.Cut(rest, []byte("\r\n"))
			if !found {
				break
			}
			q.q.some(line, 0)
			q.q.end()
			rest = behind
		}
		// One step takes less than a line, and looks no further.
		rest = q.q.some(rest, quotedLine)
		q.held = q.held[:copy(q.held, rest)]
		if err := q.flush(); err != nil {
			return 0, err
		}
	}
	return size, nil
}

// Close is that of io.Closer.
func (q *quotedWriter) Close() error {
	q.q.some(q.held, 0)
	q.held = nil
	return q.flush()
}

func (q *quotedWriter) flush() error {
	_, err := q.w.Write(q.q.out)
	q.q.out = q.q.out[:0]
	return err
}

// CanonicalReader gives what Canonical makes of all that r gives: LF-only line ends
// become CRLF.
func CanonicalReader(r io.Reader) io.Reader { return &canonicalReader{r: r} }

type canonicalReader struct {
	r    io.Reader
	cr   bool   // the last octet was CR
	out  []byte // converted, and not given yet
	buf  []byte // what out is a part of
	fail error  // of r, behind out
}

// Read is that of io.Reader. It leaves octets where r puts them, unless a line end must
// change.
func (c *canonicalReader) Read(p []byte) (int, error) {
	if len(c.out) == 0 {
		if c.fail != nil || len(p) == 0 {
			return 0, c.fail
		}
		n, err := c.r.Read(p)
		if n == 0 || c.crlf(p[:n]) {
			return n, err
		}
		c.convert(p[:n])
		c.fail = err
	}
	n := copy(p, c.out)
	c.out = c.out[n:]
	return n, nil
}

// crlf reports whether all line ends are CRLF; then it is ready for what follows.
func (c *canonicalReader) crlf(in []byte) bool {
	before := c.cr
	for rest := in; ; {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			break
		}
		if i > 0 {
			before = rest[i-1] == '\r'
		}
		if !before {
			return false
		}
		rest, before = rest[i+1:], false
	}
	c.cr = in[len(in)-1] == '\r'
	return true
}

func (c *canonicalReader) convert(in []byte) {
	out := c.buf[:0]
	for _, b := range in {
		if b == '\n' && !c.cr {
			out = append(out, '\r')
		}
		out, c.cr = append(out, b), b == '\r'
	}
	c.buf, c.out = out, out
}

// SplitHeader reads the header of a message, and returns a message that has nothing else,
// and a reader of its body. The header may have the 4 MB of every header; errors are
// those of r and ErrMalformed.
func SplitHeader(r io.Reader) (*Message, io.Reader, error) {
	var start bytes.Buffer
	for step := int64(streamSize); start.Len() <= maxHeader && !hasHeader(start.Bytes()); step *= 2 {
		n, err := start.ReadFrom(io.LimitReader(r, step))
		if err != nil {
			return nil, nil, err
		}
		if n < step {
			break
		}
	}
	m, err := Parse(start.Bytes())
	if err != nil {
		return nil, nil, err
	}
	head, err := Parse(bytes.Clone(m.Header()))
	if err != nil {
		return nil, nil, err
	}
	return head, io.MultiReader(bytes.NewReader(m.Body()), r), nil
}

// hasHeader reports whether start has an empty line.
func hasHeader(start []byte) bool {
	return bytes.Contains(start, []byte("\n\r\n")) || bytes.Contains(start, []byte("\n\n")) ||
		bytes.HasPrefix(start, []byte("\r\n")) || bytes.HasPrefix(start, []byte("\n"))
}

// WriteTo writes the message, and encodes and encrypts it in doing so where it can.
func (d *Draft) WriteTo(w io.Writer) (n int64, err error) {
	for _, piece := range d.body {
		if _, later := piece.(laterPiece); later { // needs all before it
			if _, err := d.Body(); err != nil {
				return 0, err
			}
			break
		}
	}
	t := &tally{w: w}
	if _, err := t.Write(WriteHeader(d.fields)); err != nil {
		return t.n, err
	}
	err = WritePieces(t, d.body)
	return t.n, err
}

// WritePieces writes what is made of the pieces, none of which is Later, to w.
func WritePieces(w io.Writer, pieces []Piece) error {
	for _, piece := range pieces {
		if err := writePiece(w, piece); err != nil {
			return err
		}
	}
	return nil
}

// writePiece writes one piece to w.
func writePiece(w io.Writer, piece Piece) error {
	if stream, ok := piece.(streamPiece); ok {
		return stream.writeTo(w)
	}
	b, encoded := piece.(base64Piece)
	if !encoded {
		written, err := octets(piece, nil)
		if err != nil {
			return err
		}
		_, err = w.Write(written)
		return err
	}
	e := EncodeBase64(w)
	var err error
	if source, ok := b.src.(io.WriterTo); ok {
		_, err = source.WriteTo(e)
	} else {
		_, err = e.Write(b.src.AppendTo(nil))
	}
	return errors.Join(err, e.Close())
}

// A tally counts what is written.
type tally struct {
	w io.Writer
	n int64
}

// Write is that of io.Writer.
func (t *tally) Write(b []byte) (int, error) {
	k, err := t.w.Write(b)
	t.n += int64(k)
	return k, err
}
