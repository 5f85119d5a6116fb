package smtpclient

import (
	"bytes"
	"context"
	"io"

	"github.com/smimerelay/smimerelay/smime/message"
)

// dotWriter writes the text of a message as SMTP has it: a dot before each line that begins
// with one, and the final dot (RFC 5321 section 4.5.2). The text may come in any pieces. It
// has no bare CR or LF, so that nothing in it can be taken for an end.
type dotWriter struct {
	w      io.Writer
	last   byte // octet before the next piece
	inLine bool // the next piece does not begin a line
}

// Write implements io.Writer.
func (d *dotWriter) Write(text []byte) (int, error) {
	if len(text) == 0 {
		return 0, nil
	}
	size := len(text)
	if d.inLine && d.last == '\r' && text[0] == '\n' {
		if _, err := d.w.Write(text[:1]); err != nil {
			return 0, err
		}
		text, d.inLine = text[1:], false
	}
	if len(text) > 0 {
		if err := writeLines(d.w, text, !d.inLine); err != nil {
			return 0, err
		}
		d.inLine, d.last = !bytes.HasSuffix(text, []byte("\r\n")), text[len(text)-1]
	}
	return size, nil
}

// end is what is to be written after the text: the final dot.
func (d *dotWriter) end() string {
	if d.inLine {
		return "\r\n.\r\n"
	}
	return ".\r\n"
}

// writeLines writes text with the dots doubled that begin a line; begins says that it
// begins one itself.
func writeLines(w io.Writer, text []byte, begins bool) error {
	if begins && text[0] == '.' {
		if _, err := w.Write([]byte(".")); err != nil {
			return err
		}
	}
	for {
		i := bytes.Index(text, []byte("\r\n."))
		if i < 0 {
			_, err := w.Write(text)
			return err
		}
		if _, err := w.Write(text[:i+3]); err != nil {
			return err
		}
		text = text[i+2:] // its dot again
	}
}

// scan finds out of a message, in any pieces, what decides whether it can be sent.
type scan struct {
	eight bool // has octets over 127
	bare  bool // has a CR without LF or an LF without CR
	cr    bool // the last octet was a CR
	ended bool // the last octets were a CRLF
}

// add scans a piece.
func (s *scan) add(text []byte) {
	if len(text) == 0 {
		return
	}
	lf := s.cr && text[0] == '\n'
	s.ended = bytes.HasSuffix(text, []byte("\r\n")) || lf && len(text) == 1
	s.bare = s.bare || s.cr && !lf
	if lf {
		text = text[1:]
	}
	s.cr = bytes.HasSuffix(text, []byte("\r"))
	lines := message.ScanLines(bytes.TrimSuffix(text, []byte("\r")))
	s.bare = s.bare || !lines.CRLF
	s.eight = s.eight || !lines.ASCII && eightBit(text) // a NUL is not ASCII there
}

// whole ends the message.
func (s *scan) whole() {
	s.bare = s.bare || s.cr
}

// blockWriter gives each block of data its time, and writes on only while the hop is silent.
type blockWriter struct {
	h   *hop
	ctx context.Context //nolint:containedctx // io.Writer takes none; it lives for one message
	due int             // octets until the hop is listened to
}

// block is how much the hop must take in one time-out.
const block = 256 << 10

func (w *blockWriter) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		if err := w.begin(w.due <= 0); err != nil {
			return done, err
		}
		n, err := w.h.w.Write(p[done:min(len(p), done+block)])
		done += n
		if w.due -= n; err != nil {
			return done, err
		}
	}
	return done, nil
}

// begin begins a block.
func (w *blockWriter) begin(listen bool) error {
	if err := w.h.allow(w.ctx, w.h.client.timeouts.block); err != nil || !listen {
		return err
	}
	w.due = block
	return w.h.inStep()
}

// end writes the end of the message, by which the hop has it. Who has spoken until then has
// not answered the message: its reply would be taken for the answer, and the answer for
// that to something else.
func (w *blockWriter) end(end string) error {
	if err := w.begin(true); err != nil {
		return err
	}
	if _, err := w.h.w.WriteString(end); err != nil {
		return err
	}
	return w.h.w.Flush()
}
