package service

import (
	"fmt"

	"github.com/smimerelay/smimerelay/certs/file"
)

// minHMACKey is the least length of the key in octets: that of the output of SHA-256
// (RFC 2104 section 3).
const minHMACKey = 32

// hmacKey reads the key that authenticates the status of inbound mail; nil is none.
func (b *builder) hmacKey() []byte {
	const at = "inbound.hmac_key_file"
	name := b.config.Inbound.HMACKeyFile
	if name == "" || b.isKnown(at) {
		return nil
	}
	key, _, err := file.ReadSecret(name)
	switch {
	case err != nil:
		b.complain(at, err.Error(), "")
	case len(key) < minHMACKey:
		b.complain(at, fmt.Sprintf("the key in %q has %d characters", name, len(key)), "write at least 32, for example with: openssl rand -hex 32")
	default:
		return []byte(key)
	}
	return nil
}
