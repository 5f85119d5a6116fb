package cms

import (
	"bufio"
	"errors"
	"io"
	"math"
)

// maxShell is how much of an object may surround the content of a stream, in octets.
const maxShell = 16 << 20

// maxHeader is how long identifier and length of an element may be. Real objects need a
// dozen.
const maxHeader = 160

// A stripper walks BER from an io.Reader, as cursor does in memory. It keeps all but the
// content in a shell: an object that cursor reads, in which the elements that were
// entered have indefinite length. The first failure sticks.
type stripper struct {
	r      *bufio.Reader
	pos    int64
	depth  int
	frames [maxDepth]streamFrame
	shell  builder
	err    error
}

// A streamFrame is an element that was entered. end is where it or one around it ends,
// at the latest.
type streamFrame struct {
	end        int64
	indefinite bool
}

// streamHeader is the identifier and length octets of an element.
type streamHeader struct {
	raw        []byte // valid until the next read
	tag        byte
	size       int64 // of the contents; of no meaning if indefinite
	indefinite bool
}

func newStripper(r io.Reader) *stripper {
	s := &stripper{r: bufio.NewReaderSize(r, streamSize)}
	s.frames[0].end = math.MaxInt64
	return s
}

// fail records the first failure.
func (s *stripper) fail(what string) {
	if s.err == nil {
		s.err = malformed("%s at offset %d", what, s.pos)
	}
}

// failed records a failure to read, or an early end.
func (s *stripper) failed(err error, what string) {
	if errors.Is(err, io.EOF) {
		s.fail(what)
	} else if s.err == nil {
		s.err = err
	}
}

// keep appends to the shell.
func (s *stripper) keep(b ...byte) {
	if s.err != nil {
		return
	}
	if len(s.shell)+len(b) > maxShell {
		s.err = tooBig("more than %d octets around the content", maxShell)
		return
	}
	s.shell = append(s.shell, b...)
}

// more reports whether the entered element has a further element.
func (s *stripper) more() bool {
	if s.err != nil {
		return false
	}
	f := &s.frames[s.depth]
	if !f.indefinite {
		return s.pos < f.end
	}
	return !s.endNext()
}

// endNext reports whether end-of-contents octets are next.
func (s *stripper) endNext() bool {
	two, err := s.r.Peek(2)
	if err != nil || s.frames[s.depth].end-s.pos < 2 {
		s.failed(err, "element without end")
		s.fail("element without end")
		return false
	}
	return two[0] == 0 && two[1] == 0
}

// peek returns the first identifier octet of the next element, 0 if there is none.
func (s *stripper) peek() byte {
	if !s.more() {
		return 0
	}
	one, err := s.r.Peek(1)
	if err != nil {
		s.failed(err, "missing element")
		return 0
	}
	return one[0]
}

// header reads the identifier and length octets.
func (s *stripper) header() (h streamHeader, ok bool) {
	if s.err != nil {
		return h, false
	}
	if s.pos >= s.frames[s.depth].end {
		s.fail("missing element")
		return h, false
	}
	h.raw = make([]byte, 0, 16)
	next := func() (b byte) {
		if s.err != nil {
			return 0
		}
		b, err := s.r.ReadByte()
		switch {
		case err != nil:
			s.failed(err, "truncated header")
		case len(h.raw) == maxHeader || s.pos >= s.frames[s.depth].end:
			s.fail("header too long")
		}
		s.pos++
		h.raw = append(h.raw, b)
		return b
	}
	h.tag = next()
	if h.tag&numberMask == numberMask { // high tag number: more octets follow
		for next()&0x80 != 0 && s.err == nil {
		}
	}
	switch n := next(); {
	case n == 0x80:
		h.indefinite = true
		if h.tag&tagConstructed == 0 {
			s.fail("primitive element of indefinite length")
		}
		return h, s.err == nil
	case n < 0x80:
		h.size = int64(n)
	default:
		for range n & 0x7f {
			if h.size > math.MaxInt64>>8 {
				s.fail("length beyond the end")
				break
			}
			h.size = h.size<<8 | int64(next())
		}
	}
	if h.size > s.frames[s.depth].end-s.pos {
		s.fail("length beyond the end")
	}
	return h, s.err == nil
}

// down goes into the element whose header was read.
func (s *stripper) down(h streamHeader) {
	if s.depth+1 >= maxDepth {
		s.fail("nesting too deep")
		return
	}
	end := s.frames[s.depth].end
	if !h.indefinite {
		end = s.pos + h.size
	}
	s.depth++
	s.frames[s.depth] = streamFrame{end: end, indefinite: h.indefinite}
}

// up goes out of the element last entered, which must have been read to its end.
func (s *stripper) up() {
	if s.more() {
		s.fail("unexpected trailing element")
	}
	if s.err != nil {
		return
	}
	if s.frames[s.depth].indefinite {
		s.discard(2)
	}
	s.depth--
}

func (s *stripper) discard(n int) {
	k, err := s.r.Discard(n)
	s.pos += int64(k)
	if err != nil {
		s.failed(err, "element without end")
	}
}

// enter goes into the next element, which must be of the given tag, and leave out of it;
// the shell has both.
func (s *stripper) enter(tag byte) {
	h, ok := s.header()
	switch {
	case !ok:
	case h.tag != tag:
		s.fail("unexpected element")
	default:
		s.keep(tag, 0x80)
		s.down(h)
	}
}

func (s *stripper) leave() {
	s.up()
	s.keep(0, 0)
}

// copy keeps the whole next element, and returns it.
func (s *stripper) copy() []byte {
	at, base := len(s.shell), s.depth
	for {
		if s.depth > base && !s.more() {
			indefinite := s.frames[s.depth].indefinite
			if s.up(); indefinite {
				s.keep(0, 0)
			}
		} else if h, ok := s.header(); ok {
			s.keep(h.raw...)
			if h.indefinite {
				s.down(h)
			} else {
				s.contents(h.size, s.keepAll)
			}
		}
		if s.err != nil {
			return nil
		}
		if s.depth == base {
			return s.shell[at:]
		}
	}
}

func (s *stripper) keepAll(b []byte) error {
	s.keep(b...)
	return s.err
}

// contents hands on the next octets, of one element.
func (s *stripper) contents(size int64, put func([]byte) error) {
	for size > 0 && s.err == nil {
		b, err := s.r.Peek(int(min(size, streamSize)))
		if len(b) == 0 {
			s.failed(err, "length beyond the end")
			return
		}
		if err := put(b); err != nil {
			if s.err == nil {
				s.err = err
			}
			return
		}
		size -= int64(len(b))
		s.discard(len(b))
	}
}

// octets hands on an OCTET STRING under the given primitive tag, which may be implicit
// and in pieces (X.690 section 8.7.3).
func (s *stripper) octets(tag byte, put func([]byte) error) {
	h, ok := s.header()
	switch {
	case !ok:
	case h.tag == tag && !h.indefinite:
		s.contents(h.size, put)
	case h.tag == tag|tagConstructed:
		base := s.depth
		s.down(h)
		for s.err == nil && s.depth > base {
			s.piece(put)
		}
	default:
		s.fail("not an octet string")
	}
}

// piece hands on the next piece of an OCTET STRING, goes into one or out of it.
func (s *stripper) piece(put func([]byte) error) {
	if !s.more() {
		s.up()
		return
	}
	h, ok := s.header()
	switch {
	case !ok:
	case h.tag == tagOctetString:
		s.contents(h.size, put)
	case h.tag == tagOctetString|tagConstructed:
		s.down(h)
	default:
		s.fail("not an octet string")
	}
}

// filler skips line ends and NULs behind the outermost element, and fails for all else.
func (s *stripper) filler() {
	for s.err == nil {
		b, err := s.r.ReadByte()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			s.err = err
			return
		}
		if b != 0 && b != '\r' && b != '\n' {
			s.fail("trailing data")
		}
		s.pos++
	}
}
