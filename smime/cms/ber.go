package cms

// The universal tags that CMS uses, with the constructed bit where it belongs
// (X.690 section 8.1.2), and the context-specific classes.
const (
	tagInteger         = 0x02
	tagBitString       = 0x03
	tagOctetString     = 0x04
	tagNull            = 0x05
	tagOID             = 0x06
	tagUTCTime         = 0x17
	tagGeneralizedTime = 0x18
	tagSequence        = 0x30
	tagSet             = 0x31

	tagConstructed = 0x20
	tagContext     = 0x80
	tagContext0    = tagContext | tagConstructed // [0] constructed; add n for [n]
	numberMask     = 0x1f
)

// maxDepth limits how deep elements may be nested. Real messages reach about
// 15; every path of this package that follows nesting counts against it.
const maxDepth = 64

// A cursor walks BER (X.690) from front to back and never back: each byte is
// looked at once, whatever the encoding, because the end of an element of
// indefinite length is not searched for but reached. The caller enters the
// elements it knows and skips the others. The first failure sticks: everything
// after it does nothing and returns zero values, so that a parser reads like
// the ASN.1 module and looks at err once.
type cursor struct {
	src    []byte
	pos    int
	depth  int
	frames [maxDepth]frame
	err    error
}

// A frame is an element that was entered. An indefinite one is closed by
// end-of-contents octets, at the latest before end.
type frame struct {
	end        int
	indefinite bool
}

// header is the identifier and length octets of an element.
type header struct {
	tag        byte // the first identifier octet
	start      int  // offset of the contents
	end        int  // offset after the contents; of no meaning if indefinite
	indefinite bool
}

func newCursor(src []byte) *cursor {
	c := &cursor{src: src}
	c.frames[0].end = len(src)
	return c
}

// fail records the first failure.
func (c *cursor) fail(what string) {
	if c.err == nil {
		c.err = malformed("%s at offset %d", what, c.pos)
	}
}

// more reports whether the entered element has a further element.
func (c *cursor) more() bool {
	if c.err != nil {
		return false
	}
	f := &c.frames[c.depth]
	if !f.indefinite {
		return c.pos < f.end
	}
	if f.end-c.pos < 2 {
		c.fail("element without end")
		return false
	}
	return c.src[c.pos] != 0 || c.src[c.pos+1] != 0
}

// left returns how many octets of the entered element there are still, 0 where only its end
// will tell.
func (c *cursor) left() int {
	if f := &c.frames[c.depth]; !f.indefinite {
		return f.end - c.pos
	}
	return 0
}

// peek returns the first identifier octet of the next element, 0 if there is
// none.
func (c *cursor) peek() byte {
	if !c.more() {
		return 0
	}
	return c.src[c.pos]
}

// header reads the identifier and length octets at pos without moving.
func (c *cursor) header() (h header, ok bool) {
	if c.err != nil {
		return h, false
	}
	limit, p := c.frames[c.depth].end, c.pos
	if p >= limit {
		c.fail("missing element")
		return h, false
	}
	h.tag = c.src[p]
	p++
	if h.tag&numberMask == numberMask { // high tag number: more octets follow
		for p < limit && c.src[p]&0x80 != 0 {
			p++
		}
		p++
	}
	if p >= limit {
		c.fail("truncated header")
		return h, false
	}
	n := int(c.src[p])
	p++
	switch {
	case n == 0x80:
		h.start, h.indefinite = p, true
		if h.tag&tagConstructed == 0 {
			c.fail("primitive element of indefinite length")
		}
		return h, c.err == nil
	case n > 0x80:
		n, p = longLength(c.src[:limit], p, n&0x7f)
	}
	if n < 0 || n > limit-p {
		c.fail("length beyond the end")
		return h, false
	}
	h.start, h.end = p, p+n
	return h, true
}

// longLength reads count length octets at p; the length is -1 if they are
// missing or do not fit.
func longLength(src []byte, p, count int) (n, next int) {
	if count > len(src)-p {
		return -1, p
	}
	for _, b := range src[p : p+count] {
		if n > len(src)>>8 {
			return -1, p
		}
		n = n<<8 | int(b)
	}
	return n, p + count
}

// enter goes into the next element, which must be of the given tag.
func (c *cursor) enter(tag byte) bool {
	h, ok := c.header()
	if !ok {
		return false
	}
	if h.tag != tag || tag&tagConstructed == 0 {
		c.fail("unexpected element")
		return false
	}
	if c.depth+1 >= maxDepth {
		c.fail("nesting too deep")
		return false
	}
	if h.indefinite {
		h.end = c.frames[c.depth].end
	}
	c.depth++
	c.frames[c.depth] = frame{end: h.end, indefinite: h.indefinite}
	c.pos = h.start
	return true
}

// leave goes out of the element last entered, which must have been read to its
// end.
func (c *cursor) leave() {
	if c.more() {
		c.fail("unexpected trailing element")
	}
	if c.err != nil {
		return
	}
	if c.frames[c.depth].indefinite {
		c.pos += 2
	}
	c.depth--
}

// skip moves behind the next element. Definite lengths are jumped over, so that
// only nested indefinite lengths count for depth.
func (c *cursor) skip() {
	open := 0
	for {
		if open > 0 && c.endOfContents() {
			open--
		} else {
			h, ok := c.header()
			switch {
			case !ok:
				return
			case !h.indefinite:
				c.pos = h.end
			default:
				c.pos = h.start
				if open++; c.depth+open >= maxDepth {
					c.fail("nesting too deep")
					return
				}
			}
		}
		if open == 0 {
			return
		}
	}
}

// endOfContents consumes end-of-contents octets, if they are next.
func (c *cursor) endOfContents() bool {
	if c.frames[c.depth].end-c.pos < 2 || c.src[c.pos] != 0 || c.src[c.pos+1] != 0 {
		return false
	}
	c.pos += 2
	return true
}

// raw returns the whole next element, header included.
func (c *cursor) raw() []byte {
	start := c.pos
	c.skip()
	if c.err != nil {
		return nil
	}
	return c.src[start:c.pos:c.pos]
}

// primitive returns the contents of the next element, which must be of the
// given primitive tag.
func (c *cursor) primitive(tag byte) []byte {
	h, ok := c.header()
	if !ok {
		return nil
	}
	if h.tag != tag || tag&tagConstructed != 0 {
		c.fail("unexpected element")
		return nil
	}
	c.pos = h.end
	return c.src[h.start:h.end:h.end]
}

// optional enters the next element if it is of the given tag.
func (c *cursor) optional(tag byte) bool {
	return c.peek() == tag && c.enter(tag)
}

// small reads an INTEGER that must lie between 0 and 2^31-1.
func (c *cursor) small() int {
	b := c.primitive(tagInteger)
	if c.err != nil {
		return 0
	}
	if len(b) == 0 || len(b) > 5 || b[0]&0x80 != 0 {
		c.fail("integer out of range")
		return 0
	}
	n := uint64(0)
	for _, x := range b {
		n = n<<8 | uint64(x)
	}
	if n > 1<<31-1 {
		c.fail("integer out of range")
		return 0
	}
	return int(n)
}
