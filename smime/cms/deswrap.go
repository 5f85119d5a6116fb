package cms

import (
	"crypto/cipher"
	"crypto/des"
	"crypto/sha1"
	"crypto/subtle"
	"slices"
)

// unwrapDES undoes the Triple-DES key wrap of RFC 3217 section 3.2, which old
// key agreement uses.
func unwrapDES(kek, wrapped []byte) (key []byte, ok bool) {
	const size, check = 24, 8
	b, err := des.NewTripleDESCipher(kek)
	if err != nil || len(wrapped) != 8+size+check {
		return nil, false
	}
	outer := []byte("\x4a\xdd\xa2\x2c\x79\xe8\x21\x05")
	buf := make([]byte, len(wrapped))
	cipher.NewCBCDecrypter(b, outer).CryptBlocks(buf, wrapped)
	slices.Reverse(buf)
	body := buf[8:]
	cipher.NewCBCDecrypter(b, buf[:8]).CryptBlocks(body, body)
	sum := sha1.Sum(body[:size])
	return body[:size], subtle.ConstantTimeCompare(sum[:check], body[size:]) == 1
}
