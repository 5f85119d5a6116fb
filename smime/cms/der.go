package cms

// A builder appends DER. It serves for everything but the content, which is
// laid out around and never moved: see layout.
type builder []byte

// open starts an element; what is appended until close is its contents.
func (b *builder) open(tag byte) (mark int) {
	*b = append(*b, tag)
	return len(*b)
}

// close ends the element that open started at mark.
func (b *builder) close(mark int) {
	var buf [9]byte
	l := appendLength(buf[:0], len(*b)-mark)
	*b = append(*b, l...)
	copy((*b)[mark+len(l):], (*b)[mark:len(*b)-len(l)])
	copy((*b)[mark:], l)
}

// tlv appends a whole element.
func (b *builder) tlv(tag byte, contents []byte) {
	*b = append(*b, tag)
	*b = appendLength(*b, len(contents))
	*b = append(*b, contents...)
}

// raw appends bytes that are DER already.
func (b *builder) raw(der []byte) { *b = append(*b, der...) }

// oid appends an OBJECT IDENTIFIER given by its contents.
func (b *builder) oid(o string) {
	*b = append(*b, tagOID, byte(len(o)))
	*b = append(*b, o...)
}

// int appends a small INTEGER, 0 <= n < 2^31.
func (b *builder) int(n int) {
	var buf [5]byte
	i := len(buf)
	for {
		i--
		buf[i] = byte(n)
		if n >>= 8; n == 0 {
			break
		}
	}
	if buf[i]&0x80 != 0 {
		i--
		buf[i] = 0
	}
	b.tlv(tagInteger, buf[i:])
}

// appendLength appends the length octets of DER (X.690 section 10.1).
func appendLength(dst []byte, n int) []byte {
	if n < 0x80 {
		return append(dst, byte(n))
	}
	count := 1
	for m := n >> 8; m > 0; m >>= 8 {
		count++
	}
	dst = append(dst, 0x80|byte(count))
	for i := count - 1; i >= 0; i-- {
		dst = append(dst, byte(n>>(8*i)))
	}
	return dst
}

// A layout makes the octets in front of a content of which only the size is
// known, from the inside out: each header covers everything prepended so far,
// the content, and what was added to size for the parts behind it. A negative size is one
// that is not known.
type layout struct {
	buf  []byte // the tail end is in use
	off  int
	size int // octets that the next header covers
	// indefinite says that the size is not known: each header is one of indefinite
	// length.
	indefinite bool
}

func newLayout(contentSize int) *layout {
	const room = 96 // all there is in front of signed data
	return &layout{buf: make([]byte, room), off: room, size: contentSize, indefinite: contentSize < 0}
}

// prepend puts der in front.
func (l *layout) prepend(der []byte) {
	if l.off < len(der) {
		grow := 2*len(l.buf) + len(der) + 64
		buf := make([]byte, grow+len(l.buf))
		copy(buf[grow:], l.buf)
		l.buf, l.off = buf, l.off+grow
	}
	l.off -= len(der)
	copy(l.buf[l.off:], der)
	l.size += len(der)
}

// prependOID puts an OBJECT IDENTIFIER in front.
func (l *layout) prependOID(oid string) {
	var buf [16]byte
	l.prepend(append(append(buf[:0], tagOID, byte(len(oid))), oid...))
}

// wrap puts the headers of a SEQUENCE and of the ContentInfo around it in front.
func (l *layout) wrap(contentType string) {
	l.header(tagSequence)
	l.header(tagContext0)
	l.prependOID(contentType)
	l.header(tagSequence)
}

// header puts the identifier and length octets of an element in front.
func (l *layout) header(tag byte) {
	var buf [10]byte
	if l.indefinite {
		l.prepend([]byte{tag | tagConstructed, 0x80})
		return
	}
	l.prepend(appendLength(append(buf[:0], tag), l.size))
}

// bytes returns what is in front of the content.
func (l *layout) bytes() []byte { return l.buf[l.off:] }
