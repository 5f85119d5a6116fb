package file

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// Identifiers of elements of a serialized certificate store ([MS-OSHARED] section
// 2.3.2.5); others are properties.
const (
	storeEnd         = 0
	storeCertificate = 32
	storeEncoding    = 1 // ASN.1, in the lower half
)

var (
	storeMagic     = []byte{0, 0, 0, 0, 'C', 'E', 'R', 'T'}
	errStoreShape  = errors.New("serialized store: truncated or not well-formed")
	errStoreBehind = errors.New("serialized store: something else stands behind its end; get the file again")
)

func isSerializedStore(b []byte) bool { return bytes.HasPrefix(b, storeMagic) }

// parseSerializedStore reads the certificates of a Microsoft serialized store
// ([MS-OSHARED] section 2.3.9.1): a magic number, then elements of type, encoding, length and value, each a
// little-endian 32-bit number but the value, up to an element of type 0.
// Properties of a certificate, which come before it, and revocation lists are
// passed over.
func parseSerializedStore(b []byte, r *reading) error {
	b = b[len(storeMagic):]
	for {
		if len(b) < 12 {
			return errStoreShape
		}
		kind, encoding := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
		size := uint64(binary.LittleEndian.Uint32(b[8:]))
		b = b[12:]
		if kind == storeEnd {
			if len(bytes.Trim(b, "\r\n\x00")) > 0 {
				return errStoreBehind
			}
			return nil
		}
		if size > uint64(len(b)) {
			return errStoreShape
		}
		value := b[:size]
		b = b[size:]
		if kind != storeCertificate || encoding&0xffff != storeEncoding {
			continue
		}
		r.take(pkix.ParseCertificate(value))
	}
}
