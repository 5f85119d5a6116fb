package pkix

import (
	"bytes"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// TrimDER returns the DER element with which data begins, where nothing follows it
// but line ends and NULs, which editors, mail and databases put behind files. All
// else is returned as it is.
func TrimDER(data []byte) []byte {
	s := cryptobyte.String(data)
	var element cryptobyte.String
	var tag cryptobyte_asn1.Tag
	if !s.ReadAnyASN1Element(&element, &tag) || len(bytes.Trim(s, "\r\n\x00")) > 0 {
		return data
	}
	return element
}
