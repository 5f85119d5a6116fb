package message

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime/quotedprintable"
)

var (
	errBase64   = errors.New("base64 that is not well-formed")
	errEncoding = errors.New("unknown content transfer encoding")
)

// Decode returns the content without its transfer encoding (RFC 2045 section 6).
// For 7bit, 8bit and binary that is the content itself, which must not be
// changed.
func (p *Part) Decode() ([]byte, error) {
	switch p.Encoding {
	case "7bit", "8bit", "binary":
		return p.Content(), nil
	case "base64":
		return DecodeBase64(p.Content())
	case "quoted-printable":
		data, err := io.ReadAll(quotedprintable.NewReader(bytes.NewReader(p.Content())))
		if err != nil {
			return nil, fmt.Errorf("quoted-printable: %w", err)
		}
		return data, nil
	}
	return nil, fmt.Errorf("%w %q", errEncoding, p.Encoding)
}

// DecodeBase64 decodes base64 with lines of any length. White space is skipped
// and the final padding may be missing; any other octet outside of the alphabet,
// and anything behind the padding, is an error: what readers would skip or cut
// differently is not guessed at.
func DecodeBase64(text []byte) ([]byte, error) {
	packed := make([]byte, 0, len(text))
	for len(text) > 0 {
		n := bytes.IndexAny(text, "\r\n \t")
		if n < 0 {
			n = len(text)
		}
		packed = append(packed, text[:n]...)
		text = bytes.TrimLeft(text[n:], "\r\n \t")
	}
	enc := base64.StdEncoding
	if len(packed)%4 != 0 {
		enc = base64.RawStdEncoding
	}
	n, err := enc.Decode(packed, packed)
	if err != nil {
		return nil, errBase64
	}
	return packed[:n], nil
}
