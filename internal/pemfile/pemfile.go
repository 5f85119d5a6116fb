// Package pemfile reads PEM (RFC 7468) as people hand it over: with the byte order
// mark that editors put in front, in UTF-16, with any line end. Unlike
// encoding/pem it never passes over a block that begins and cannot be decoded: a
// revocation list, a recipient or a trust anchor that is left out without a word
// changes what the program does.
package pemfile

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"iter"
	"unicode/utf16"
)

var begin = []byte("-----BEGIN ")

// Is reports whether data is PEM: a block begins in it, whole or not.
func Is(data []byte) bool { return bytes.Contains(Text(data), begin) }

// Text returns data as encoding/pem understands it: without byte order marks, of
// UTF-16 as UTF-8, with LF line ends.
func Text(data []byte) []byte {
	switch {
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}):
		data = fromUTF16(data[2:], 0, 1)
	case bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		data = fromUTF16(data[2:], 1, 0)
	}
	// Files with marks may have been joined to one.
	data = bytes.ReplaceAll(data, []byte("\uFEFF"), nil)
	if bytes.IndexByte(data, '\r') >= 0 {
		data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
		data = bytes.ReplaceAll(data, []byte("\r"), []byte("\n"))
	}
	return data
}

// fromUTF16 decodes pairs of octets, whose less significant one is at the index low.
func fromUTF16(data []byte, low, high int) []byte {
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = uint16(data[2*i+low]) | uint16(data[2*i+high])<<8
	}
	return []byte(string(utf16.Decode(units)))
}

var errMixed = errors.New("files of different encodings were joined to this one; save each of them as UTF-8 first")

// mixed reports whether a part of data is lost in text because it is not in the encoding
// that data begins with.
func mixed(data, text []byte) bool {
	if !bytes.HasPrefix(data, []byte{0xff, 0xfe}) && !bytes.HasPrefix(data, []byte{0xfe, 0xff}) {
		return false
	}
	return bytes.Count(bytes.ReplaceAll(data, []byte{0}, nil), begin) != bytes.Count(text, begin)
}

// A damagedError is about a block that begins and cannot be decoded.
type damagedError struct {
	Number int    // in the file, from 1
	Type   string // such as CERTIFICATE
}

// Error names the block by its number and its type.
func (e *damagedError) Error() string {
	return fmt.Sprintf("PEM that is truncated or not well-formed: block %d, %s; get the file again", e.Number, e.Type)
}

// An unknownError is about a block whose type is not known.
type unknownError struct {
	Number int // in the file, from 1
	Type   string
}

// Error names the block by its number and its type.
func (e *unknownError) Error() string {
	return fmt.Sprintf("PEM with a block of an unknown type: block %d, %.40q; write %q or %q, or remove the block", e.Number, e.Type, Certificate, CRL)
}

// Blocks returns the blocks of data in their order, with the types of this package. A
// block that cannot be decoded, or whose type is not known, ends it with an error.
func Blocks(data []byte) iter.Seq2[*pem.Block, error] {
	return func(yield func(*pem.Block, error) bool) {
		rest := Text(data)
		if mixed(data, rest) {
			yield(nil, errMixed)
			return
		}
		for number := 1; ; number++ {
			block, after, err := next(rest, number)
			if block == nil && err == nil || !yield(block, err) || err != nil {
				return
			}
			rest = after
		}
	}
}

// next returns the first block of data, nil if there is none, and what follows it.
func next(data []byte, number int) (*pem.Block, []byte, error) {
	at := bytes.Index(data, begin)
	before := data
	if at >= 0 {
		before = data[:at]
	}
	if t, ok := remnant(before); ok {
		return nil, nil, &damagedError{number, t}
	}
	if at < 0 {
		return nil, nil, nil
	}
	block, rest := decode(data[at:])
	switch {
	case block == nil:
		return nil, nil, &damagedError{number, label(data[at:])}
	case !typed(block):
		return nil, nil, &unknownError{number, block.Type}
	}
	return block, rest, nil
}

// decode decodes the block that data begins with; nil if that cannot be done,
// whatever comes behind it.
func decode(data []byte) (*pem.Block, []byte) {
	block, rest := pem.Decode(data)
	if block == nil || bytes.Count(data[:len(data)-len(rest)], begin) != 1 {
		return nil, nil
	}
	return block, rest
}

// label returns the type of the block that begins in data.
func label(data []byte) string {
	line, _, _ := bytes.Cut(data[len(begin):], []byte("\n"))
	return string(bytes.TrimRight(line[:min(len(line), 40)], "-"))
}
