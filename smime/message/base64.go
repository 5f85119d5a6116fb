package message

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// Base64 with lines of 76 octets is half of what an S/MIME gateway does with a
// large message. encoding/base64 handles line ends one octet at a time; here
// three octets become four by two table look-ups, and four become three by four.

var errBase64 = errors.New("base64 that is not well-formed")

// Octets in and out of one line of base64.
const (
	lineIn  = 57
	lineOut = 78
)

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// encodePair has the two characters for each 12 bits, first one in the low half.
var encodePair = func() (table [4096]uint16) {
	for i := range table {
		table[i] = uint16(alphabet[i>>6]) | uint16(alphabet[i&63])<<8
	}
	return table
}()

// invalid marks what is not in the alphabet. It is outside of the 24 bits that
// four characters make.
const invalid = 1 << 31

// decodeAt has the value of each character, shifted to its place in the quantum.
var decodeAt = func() (table [4][256]uint32) {
	for place := range table {
		for c := range table[place] {
			table[place][c] = invalid
		}
		for v := range len(alphabet) {
			table[place][alphabet[v]] = uint32(v) << (18 - 6*place)
		}
	}
	return table
}()

// encodedLen is the length of n octets as lines of base64.
func encodedLen(n int) int {
	size := n / lineIn * lineOut
	if rest := n % lineIn; rest > 0 {
		size += (rest+2)/3*4 + 2
	}
	return size
}

// encodeLines writes src as lines of base64 to dst, which has room for them and
// may be the same memory as long as src lies at its end: the encoded form never
// overtakes the rest of the source, since behind n lines there are at least 21
// octets of room for each line to come.
func encodeLines(dst, src []byte) {
	var in [lineIn]byte
	for len(src) >= lineIn {
		copy(in[:], src)
		src = src[lineIn:]
		out := (*[lineOut]byte)(dst)
		for i, o := 0, 0; i < lineIn; i, o = i+3, o+4 {
			quantum(out[o:o+4:o+4], in[i:i+3:i+3])
		}
		out[lineOut-2], out[lineOut-1] = '\r', '\n'
		dst = dst[lineOut:]
	}
	if len(src) == 0 {
		return
	}
	n := copy(in[:], src)
	o := 0
	for i := 0; i < n/3*3; i, o = i+3, o+4 {
		quantum(dst[o:o+4:o+4], in[i:i+3:i+3])
	}
	switch rest := in[n/3*3 : n]; len(rest) {
	case 1:
		quantum(dst[o:o+4:o+4], []byte{rest[0], 0, 0})
		dst[o+2], dst[o+3] = '=', '='
		o += 4
	case 2:
		quantum(dst[o:o+4:o+4], []byte{rest[0], rest[1], 0})
		dst[o+3] = '='
		o += 4
	}
	dst[o], dst[o+1] = '\r', '\n'
}

// quantum encodes three octets as four characters.
func quantum(dst, src []byte) {
	v := uint32(src[0])<<16 | uint32(src[1])<<8 | uint32(src[2])
	binary.LittleEndian.PutUint32(dst, uint32(encodePair[v>>12])|uint32(encodePair[v&0xfff])<<16)
}

// DecodeBase64 decodes base64 with lines of any length. White space is skipped
// and the final padding may be missing; any other octet outside of the alphabet,
// and anything behind the padding, is an error: what readers would skip or cut
// differently is not guessed at.
func DecodeBase64(text []byte) ([]byte, error) {
	d := base64Decoder{out: make([]byte, 0, len(text)/4*3+3)}
	if err := d.all(text); err != nil {
		return nil, err
	}
	return d.out, nil
}

// base64Decoder collects octets, or counts them.
type base64Decoder struct {
	out      []byte
	counting bool
	n        int
	quantum  uint32
	have     int // characters in quantum
	padding  int
}

func (d *base64Decoder) all(text []byte) error {
	if err := d.more(text); err != nil {
		return err
	}
	return d.finish()
}

// more takes text, which need not be whole lines or quanta.
func (d *base64Decoder) more(text []byte) error {
	for len(text) > 0 {
		if text = d.bulk(text); len(text) == 0 {
			break
		}
		// A line end, or a line that is no multiple of four long.
		if err := d.one(text[0]); err != nil {
			return err
		}
		text = text[1:]
	}
	return nil
}

func (d *base64Decoder) put(octets ...byte) {
	d.n += len(octets)
	if !d.counting {
		d.out = append(d.out, octets...)
	}
}

// bulk decodes whole quanta, up to the first that is none, skips line ends between them,
// and returns the rest of text. It takes lines that are as long as the first, which nearly
// all are, as a whole, and others two quanta at a time.
func (d *base64Decoder) bulk(text []byte) []byte {
	if d.have != 0 || d.padding != 0 {
		return text
	}
	if d.counting {
		return d.count(text)
	}
	room := d.out[len(d.out):cap(d.out)]
	width := bytes.IndexByte(text[:min(len(text), lineOut)], '\r')
	for width > 0 && width%4 == 0 && width+1 < len(text) && width < len(room) &&
		text[width] == '\r' && text[width+1] == '\n' && decodeLine(room, text[:width]) {
		room, text = room[width/4*3:], text[width+2:]
	}
	for len(text) >= 8 && len(room) >= 8 {
		if text[0] == '\r' && text[1] == '\n' {
			text = text[2:]
			continue
		}
		in := (*[8]byte)(text)
		v := decodeAt[0][in[0]] | decodeAt[1][in[1]] | decodeAt[2][in[2]] | decodeAt[3][in[3]]
		w := decodeAt[0][in[4]] | decodeAt[1][in[5]] | decodeAt[2][in[6]] | decodeAt[3][in[7]]
		if v|w >= 1<<24 {
			if v >= 1<<24 {
				break
			}
			binary.BigEndian.PutUint32(room, v<<8)
			room, text = room[3:], text[4:]
			continue
		}
		binary.BigEndian.PutUint64(room, uint64(v)<<40|uint64(w)<<16)
		room, text = room[6:], text[8:]
	}
	d.out = d.out[:cap(d.out)-len(room)]
	return text
}

// decodeLine decodes whole quanta into room, which has an octet more than text, and reports
// whether there is nothing else. What is behind the decoded octets may change.
func decodeLine(room, text []byte) bool {
	var odd uint32
	for ; len(text) >= 8; room, text = room[6:], text[8:] {
		in := (*[8]byte)(text)
		v := decodeAt[0][in[0]] | decodeAt[1][in[1]] | decodeAt[2][in[2]] | decodeAt[3][in[3]]
		w := decodeAt[0][in[4]] | decodeAt[1][in[5]] | decodeAt[2][in[6]] | decodeAt[3][in[7]]
		odd |= v | w
		binary.BigEndian.PutUint64(room, uint64(v)<<40|uint64(w)<<16)
	}
	if len(text) > 0 {
		v := decodeAt[0][text[0]] | decodeAt[1][text[1]] | decodeAt[2][text[2]] | decodeAt[3][text[3]]
		odd |= v
		binary.BigEndian.PutUint32(room, v<<8)
	}
	return odd < 1<<24
}

// count is bulk without writing.
func (d *base64Decoder) count(text []byte) []byte {
	for len(text) >= 4 {
		if text[0] == '\r' && text[1] == '\n' {
			text = text[2:]
			continue
		}
		in := (*[4]byte)(text)
		if decodeAt[0][in[0]]|decodeAt[1][in[1]]|decodeAt[2][in[2]]|decodeAt[3][in[3]] >= 1<<24 {
			break
		}
		d.n, text = d.n+3, text[4:]
	}
	return text
}

// one takes a single character.
func (d *base64Decoder) one(c byte) error {
	switch c {
	case '\r', '\n', ' ', '\t':
		return nil
	case '=':
		d.padding++
		return nil
	}
	v := decodeAt[3][c]
	if v == invalid || d.padding > 0 {
		return errBase64
	}
	d.quantum = d.quantum<<6 | v
	if d.have++; d.have == 4 {
		d.put(byte(d.quantum>>16), byte(d.quantum>>8), byte(d.quantum))
		d.quantum, d.have = 0, 0
	}
	return nil
}

// finish takes what is left of the last quantum.
func (d *base64Decoder) finish() error {
	full := d.padding == 0 || d.have+d.padding == 4
	switch {
	case d.have == 0 && d.padding == 0:
	case d.have == 2 && full:
		d.put(byte(d.quantum >> 4))
	case d.have == 3 && full:
		d.put(byte(d.quantum>>10), byte(d.quantum>>2))
	default:
		return errBase64
	}
	return nil
}
