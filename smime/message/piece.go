package message

import "bytes"

// Piece is a stretch of a body to be rendered: Text, a Scan of text, Base64 of
// something, or Later.
type Piece interface {
	// size is the length, or a guess at it.
	size() int
	check(limit int) error
	appendTo(dst []byte) ([]byte, error)
}

// Text is a piece that is written as it is.
type Text []byte

func (t Text) size() int                           { return len(t) }
func (t Text) check(limit int) error               { return checkLines(t, limit) }
func (t Text) appendTo(dst []byte) ([]byte, error) { return append(dst, t...), nil }

// Later returns a piece that is made when everything before it has been written:
// make gets the body so far, in pieces, which it must not change. guess is about how
// long the piece will be; what is made is not a Later again.
func Later(guess int, make func(body [][]byte) (Piece, error)) Piece { return laterPiece{guess, make} }

type laterPiece struct {
	guess int
	make  func(body [][]byte) (Piece, error)
}

func (p laterPiece) size() int       { return p.guess }
func (p laterPiece) check(int) error { return nil }

func (p laterPiece) appendTo(dst []byte) ([]byte, error) {
	// The header has no empty line, so the first one ends it.
	_, body, _ := bytes.Cut(dst, []byte("\r\n\r\n"))
	made, err := p.made([][]byte{body})
	if err != nil {
		return nil, err
	}
	return made.appendTo(dst)
}

// made makes the piece and checks it.
func (p laterPiece) made(body [][]byte) (Piece, error) {
	piece, err := p.make(body)
	if err != nil {
		return nil, err
	}
	return piece, piece.check(maxLine)
}

// Source is what Base64 encodes: Len is exact, and AppendTo allocates nothing
// when dst has that much room.
type Source interface {
	Len() int
	AppendTo(dst []byte) []byte
}

// Decoded returns what is base64 in text as a Source, without decoding it yet.
func Decoded(text []byte) (Source, error) {
	d := base64Decoder{counting: true}
	if err := d.all(text); err != nil {
		return nil, err
	}
	return decodedSource{text: text, n: d.n}, nil
}

type decodedSource struct {
	text []byte
	n    int
}

func (s decodedSource) Len() int { return s.n }

func (s decodedSource) AppendTo(dst []byte) []byte {
	if cap(dst)-len(dst) < s.n {
		dst = append(make([]byte, 0, len(dst)+s.n), dst...)
	}
	d := base64Decoder{out: dst}
	// Decoded has seen that the text is well-formed.
	if err := d.all(s.text); err != nil {
		return dst
	}
	return d.out
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

func (p base64Piece) size() int { return encodedLen(p.src.Len()) }

func (p base64Piece) check(int) error { return nil }

// appendTo lets the source write itself to the end of the room that its encoded
// form will take and encodes from there to the front, so that a large message
// needs no second buffer.
func (p base64Piece) appendTo(dst []byte) ([]byte, error) {
	size, start := p.size(), len(dst)
	if cap(dst)-start < size {
		dst = append(make([]byte, 0, start+size), dst...)
	}
	dst = dst[:start+size]
	tail := start + size - p.src.Len()
	encodeLines(dst[start:], p.src.AppendTo(dst[tail:tail]))
	return dst, nil
}
