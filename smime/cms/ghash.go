package cms

import (
	"crypto/cipher"
	"encoding/binary"
)

// blockSize is that of AES, and of the hashes of both AEADs, in octets.
const blockSize = 16

// A ghash is the authentication of AES-GCM (NIST SP 800-38D section 6.4) of a stream. The
// library authenticates what is in memory only, and does that with the instructions of
// the processor. Of its tag over one buffer, as additional data, follows what the state
// is behind that buffer: tag = (state + length) * key + mask, in the field below.
type ghash struct {
	aead cipher.AEAD
	// key is the hash key H, inverse is 1/H.
	key, inverse field
	mask         field // of the tags of aead with a nonce of zeros
	state        field
	block        cipher.Block
}

// newGHASH returns a ghash of the cipher.
func newGHASH(b cipher.Block) (*ghash, error) {
	aead, err := cipher.NewGCM(b)
	if err != nil {
		return nil, err
	}
	g := &ghash{aead: aead, block: b, key: encrypted(b, [blockSize]byte{})}
	g.mask = encrypted(b, [blockSize]byte{blockSize - 1: 1})
	g.inverse = g.key.inverse()
	return g, nil
}

// encrypted returns one block encrypted.
func encrypted(b cipher.Block, block [blockSize]byte) field {
	b.Encrypt(block[:], block[:])
	return fieldOf(block[:])
}

// write takes up data, filled up with zeros to whole blocks. It changes the first block
// of data for a moment.
func (g *ghash) write(data []byte) {
	if rest := len(data) % blockSize; rest != 0 {
		whole := data[:len(data)-rest]
		var last [blockSize]byte
		copy(last[:], data[len(whole):])
		g.write(whole)
		data = last[:]
	}
	if len(data) == 0 {
		return
	}
	first := fieldOf(data)
	first.add(g.state).put(data)
	var tag [blockSize]byte
	// What is sealed is empty, so that the nonce may be the same each time.
	g.aead.Seal(tag[:0], make([]byte, nonceSize), nil, data)
	first.put(data)
	length := field{hi: uint64(len(data)) * 8}
	g.state = fieldOf(tag[:]).add(g.mask).times(g.inverse).add(length)
}

// lengths takes up the block at the end, with two lengths in octets.
func (g *ghash) lengths(additional, content uint64) field {
	g.state = g.state.add(field{additional * 8, content * 8}).times(g.key)
	return g.state
}

// A field is an element of GF(2^128) in the representation of GCM (NIST SP 800-38D
// section 6.3). Nothing here depends on the value of one in its time.
type field struct{ hi, lo uint64 }

func fieldOf(block []byte) field {
	return field{binary.BigEndian.Uint64(block), binary.BigEndian.Uint64(block[8:])}
}

// put writes x to the front of block.
func (x field) put(block []byte) {
	binary.BigEndian.PutUint64(block, x.hi)
	binary.BigEndian.PutUint64(block[8:], x.lo)
}

func (x field) add(y field) field { return field{x.hi ^ y.hi, x.lo ^ y.lo} }

func (x field) times(y field) (z field) {
	const reduction = 0xe1 << 56
	for _, word := range [...]uint64{x.hi, x.lo} {
		for i := 63; i >= 0; i-- {
			bit := -(word >> i & 1)
			z.hi ^= y.hi & bit
			z.lo ^= y.lo & bit
			carry := -(y.lo & 1)
			y.lo = y.lo>>1 | y.hi<<63
			y.hi = y.hi>>1 ^ carry&reduction
		}
	}
	return z
}

// inverse returns 1/x, which is x to the power of 2^128-2.
func (x field) inverse() field {
	square := x.times(x)
	z := square
	for range 126 {
		square = square.times(square)
		z = z.times(square)
	}
	return z
}
