package message

import "encoding/base64"

// Piece is a stretch of a body to be rendered: Text, or Base64 of something.
type Piece interface {
	size() int
	check(limit int) error
	appendTo(dst []byte) []byte
}

// Text is a piece that is written as it is.
type Text []byte

func (t Text) size() int                  { return len(t) }
func (t Text) check(limit int) error      { return checkLines(t, limit) }
func (t Text) appendTo(dst []byte) []byte { return append(dst, t...) }

// Source is what Base64 encodes: Len is exact, and AppendTo allocates nothing
// when dst has that much room.
type Source interface {
	Len() int
	AppendTo(dst []byte) []byte
}

// Octets is a Source of plain bytes.
type Octets []byte

// Len returns the number of octets.
func (o Octets) Len() int { return len(o) }

// AppendTo appends the octets to dst.
func (o Octets) AppendTo(dst []byte) []byte { return append(dst, o...) }

// Base64 returns a piece that is the base64 form of src in lines of 76 octets,
// each with its line end (RFC 2045 section 6.8).
func Base64(src Source) Piece { return base64Piece{src} }

type base64Piece struct{ src Source }

// Octets in and out of one line of base64.
const (
	lineIn  = 57
	lineOut = 78
)

func (p base64Piece) size() int {
	n := p.src.Len()
	size := n / lineIn * lineOut
	if rest := n % lineIn; rest > 0 {
		size += base64.StdEncoding.EncodedLen(rest) + 2
	}
	return size
}

func (p base64Piece) check(int) error { return nil }

// appendTo lets the source write itself to the end of the room that its encoded
// form will take and encodes from there to the front, so that a large message
// needs no second buffer. The encoded form never overtakes the rest of the
// source: behind n lines there are at least 21 octets of room for each line to
// come.
func (p base64Piece) appendTo(dst []byte) []byte {
	size, start := p.size(), len(dst)
	if cap(dst)-start < size {
		dst = append(make([]byte, 0, start+size), dst...)
	}
	dst = dst[:start+size]
	tail := start + size - p.src.Len()
	src := p.src.AppendTo(dst[tail:tail])
	var chunk [lineIn]byte
	for out := start; len(src) > 0; {
		n := copy(chunk[:], src)
		src = src[n:]
		encoded := base64.StdEncoding.EncodedLen(n)
		base64.StdEncoding.Encode(dst[out:out+encoded], chunk[:n])
		out += encoded
		dst[out], dst[out+1] = '\r', '\n'
		out += 2
	}
	return dst
}

// EncodeBase64 returns data as base64 in lines of 76 octets.
func EncodeBase64(data []byte) []byte { return Base64(Octets(data)).appendTo(nil) }
