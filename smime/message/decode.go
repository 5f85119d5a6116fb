package message

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/quotedprintable"
)

var errEncoding = errors.New("unknown content transfer encoding")

// Decode returns the content without its transfer encoding (RFC 2045 section 6).
// For 7bit, 8bit and binary that is the content itself, which must not be
// changed: see Encoded.
func (p *Part) Decode() ([]byte, error) {
	switch p.Encoding {
	case "7bit", "8bit", "binary":
		return p.Content(), nil
	case "base64":
		return DecodeBase64(p.Content())
	case "quoted-printable":
		return DecodeQuoted(p.Content())
	}
	return nil, fmt.Errorf("%w %q", errEncoding, p.Encoding)
}

// DecodeQuoted decodes quoted-printable.
func DecodeQuoted(text []byte) ([]byte, error) {
	data, err := io.ReadAll(quotedprintable.NewReader(bytes.NewReader(text)))
	if err != nil {
		return nil, fmt.Errorf("quoted-printable: %w", err)
	}
	return data, nil
}
