package cms

import (
	"crypto/aes"
	"crypto/subtle"
	"encoding/binary"
)

// wrapIV is the initial value of RFC 3394 section 2.2.3.1.
const wrapIV = 0xa6a6a6a6a6a6a6a6

// wrapKey wraps a content key with AES (RFC 3394 section 2.2.1).
func wrapKey(kek, key []byte) ([]byte, error) {
	if len(key) < 16 || len(key)%8 != 0 {
		return nil, unsupported("key wrap of %d octets", len(key))
	}
	b, err := aes.NewCipher(kek)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 8+len(key))
	copy(out[8:], key)
	var block [16]byte
	binary.BigEndian.PutUint64(block[:], wrapIV)
	t := uint64(0)
	for range 6 {
		for r := out[8:]; len(r) > 0; r = r[8:] {
			copy(block[8:], r[:8])
			b.Encrypt(block[:], block[:])
			t++
			binary.BigEndian.PutUint64(block[:], binary.BigEndian.Uint64(block[:])^t)
			copy(r, block[8:])
		}
	}
	copy(out, block[:8])
	return out, nil
}

// unwrapKey undoes wrapKey. A wrong key or a changed input gives false.
func unwrapKey(kek, wrapped []byte) (key []byte, ok bool) {
	n := len(wrapped) - 8
	b, err := aes.NewCipher(kek)
	if err != nil || n < 16 || n%8 != 0 || n > maxWrapped {
		return nil, false
	}
	key = make([]byte, n)
	copy(key, wrapped[8:])
	var block [16]byte
	copy(block[:8], wrapped)
	t := uint64(6 * n / 8)
	for range 6 {
		for i := n - 8; i >= 0; i -= 8 {
			binary.BigEndian.PutUint64(block[:], binary.BigEndian.Uint64(block[:])^t)
			copy(block[8:], key[i:])
			b.Decrypt(block[:], block[:])
			copy(key[i:i+8], block[8:])
			t--
		}
	}
	var iv [8]byte
	binary.BigEndian.PutUint64(iv[:], wrapIV)
	return key, subtle.ConstantTimeCompare(iv[:], block[:8]) == 1
}

// maxWrapped is the longest key that is unwrapped, in octets.
const maxWrapped = 64
