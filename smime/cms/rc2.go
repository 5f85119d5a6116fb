package cms

import (
	"crypto/cipher"

	"github.com/smimerelay/smimerelay/internal/rc2"
)

// rc2Opener reads the parameters of RC2 in CBC mode (RFC 3370 section 5.2): a
// code for the effective bits, which are also the size of the key, and the IV.
func (e *EnvelopedData) rc2Opener(o DecryptOptions) (opener, error) {
	c := newCursor(e.alg.params)
	c.enter(tagSequence)
	version := c.small()
	iv := c.primitive(tagOctetString)
	c.leave()
	if c.err != nil {
		return opener{}, c.err
	}
	effective, ok := map[int]int{160: 40, 120: 64, 58: 128}[version]
	if !ok {
		return opener{}, unsupported("RC2 of version %d", version)
	}
	return opener{effective / 8, func(key []byte) ([]byte, error) {
		block := func(k []byte) (cipher.Block, error) { return rc2.New(k, effective), nil }
		return e.openCBC(key, iv, block, o)
	}}, nil
}
