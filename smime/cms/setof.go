package cms

import (
	"bytes"
	"slices"
)

// A setOf collects the elements of a SET OF in one buffer, and writes them in
// the order that DER wants (X.690 section 11.6).
type setOf struct {
	builder
	ends []int // where each element ends
}

// newSetOf returns a setOf with room for size octets.
func newSetOf(size int) *setOf { return &setOf{builder: make(builder, 0, size)} }

// next ends an element: what was appended since the last call.
func (s *setOf) next() { s.ends = append(s.ends, len(s.builder)) }

// add adds an element that is DER already.
func (s *setOf) add(der []byte) {
	s.raw(der)
	s.next()
}

// appendTo appends the set to b, each element once.
func (s *setOf) appendTo(b *builder, tag byte) {
	list := make([][]byte, len(s.ends))
	start := 0
	for i, end := range s.ends {
		list[i] = s.builder[start:end]
		start = end
	}
	slices.SortFunc(list, bytes.Compare)
	list = slices.CompactFunc(list, bytes.Equal)
	size := 0
	for _, e := range list {
		size += len(e)
	}
	*b = slices.Grow(*b, size+6)
	*b = appendLength(append(*b, tag), size)
	for _, e := range list {
		*b = append(*b, e...)
	}
}

// bytes returns the set.
func (s *setOf) bytes(tag byte) []byte {
	var b builder
	s.appendTo(&b, tag)
	return b
}
