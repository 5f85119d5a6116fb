package cms

import (
	"crypto/cipher"
	"crypto/fips140"
	"crypto/subtle"
	"encoding/binary"

	"golang.org/x/crypto/chacha20"
	"golang.org/x/crypto/poly1305" //nolint:staticcheck // SA1019: ChaCha20-Poly1305 of a stream needs its half
)

// maxStream is how much AES-GCM may encrypt with one nonce, in octets (NIST SP 800-38D
// section 5.2.1.1). ChaCha20-Poly1305 may do more.
const maxStream = 1<<36 - 32

// A streamAEAD is an AEAD that takes its content buffer by buffer. The library has none,
// so that nothing is used that was not authenticated; see EnvelopedData.DecryptTo for how
// that is heeded here. All buffers but the last are whole blocks.
type streamAEAD struct {
	stream     cipher.Stream
	additional uint64 // size of the additional data
	size       uint64 // of the content so far
	take       func(ciphertext []byte)
	tag        func(additional, content uint64) [tagSize]byte
}

// newStreamAEAD returns the AEAD of the cipher for one content.
func (s *cipherSpec) newStreamAEAD(key, nonce, additional []byte) (*streamAEAD, error) {
	a := &streamAEAD{additional: uint64(len(additional))}
	if s.name == ChaCha20Poly1305 {
		if err := a.chacha(key, nonce); err != nil {
			return nil, err
		}
	} else {
		block, err := s.block(key)
		if err != nil {
			return nil, err
		}
		if err := a.gcm(block, nonce); err != nil {
			return nil, err
		}
	}
	// take changes what it is given for a moment.
	a.take(append([]byte(nil), additional...))
	return a, nil
}

// gcm makes a AES-GCM (NIST SP 800-38D section 7.1).
func (a *streamAEAD) gcm(block cipher.Block, nonce []byte) error {
	if fips140.Enforced() {
		return notApproved("AES-GCM of a stream")
	}
	g, err := newGHASH(block)
	if err != nil {
		return err
	}
	var first [blockSize]byte
	if len(nonce) == nonceSize {
		copy(first[:], nonce)
		first[blockSize-1] = 1
	} else {
		g.write(append([]byte(nil), nonce...))
		g.lengths(0, uint64(len(nonce))).put(first[:])
		g.state = field{}
	}
	mask := encrypted(block, first)
	a.stream = newCounter(block, first)
	a.take = g.write
	a.tag = func(additional, content uint64) (tag [tagSize]byte) {
		g.lengths(additional, content).add(mask).put(tag[:])
		return tag
	}
	return nil
}

// A counter is the counter mode of GCM, which counts in the last 32 bits only.
type counter struct {
	cipher.Stream
	block cipher.Block
	start [blockSize]byte // where it begins again
	left  int64           // octets until then
}

// newCounter returns the key stream behind the block given.
func newCounter(block cipher.Block, first [blockSize]byte) *counter {
	n := binary.BigEndian.Uint32(first[12:]) + 1
	binary.BigEndian.PutUint32(first[12:], n)
	c := &counter{Stream: cipher.NewCTR(block, first[:]), block: block, start: first, left: (1<<32 - int64(n)) * blockSize}
	clear(c.start[12:])
	return c
}

// XORKeyStream is that of cipher.Stream.
func (c *counter) XORKeyStream(dst, src []byte) {
	if int64(len(src)) > c.left {
		n := c.left
		c.Stream.XORKeyStream(dst[:n], src[:n])
		c.Stream, c.left = cipher.NewCTR(c.block, c.start[:]), 1<<32*blockSize
		dst, src = dst[n:], src[n:]
	}
	c.Stream.XORKeyStream(dst, src)
	c.left -= int64(len(src))
}

// chacha makes a ChaCha20-Poly1305 (RFC 8439 section 2.8).
func (a *streamAEAD) chacha(key, nonce []byte) error {
	stream, err := chacha20.NewUnauthenticatedCipher(key, nonce)
	if err != nil {
		return err
	}
	var once [32]byte
	stream.XORKeyStream(once[:], once[:])
	stream.SetCounter(1)
	mac := poly1305.New(&once)
	var zeros [blockSize]byte
	a.stream = stream
	a.take = func(b []byte) {
		// A hash never fails.
		_, _ = mac.Write(b)
		if rest := len(b) % blockSize; rest != 0 {
			_, _ = mac.Write(zeros[rest:])
		}
	}
	a.tag = func(additional, content uint64) (tag [tagSize]byte) {
		var lengths [blockSize]byte
		binary.LittleEndian.PutUint64(lengths[:], additional)
		binary.LittleEndian.PutUint64(lengths[8:], content)
		_, _ = mac.Write(lengths[:])
		mac.Sum(tag[:0])
		return tag
	}
	return nil
}

// seal encrypts a buffer in place.
func (a *streamAEAD) seal(buf []byte) {
	a.stream.XORKeyStream(buf, buf)
	a.take(buf)
	a.size += uint64(len(buf))
}

// check takes up a buffer of ciphertext; open also decrypts it in place.
func (a *streamAEAD) check(buf []byte) {
	a.take(buf)
	a.size += uint64(len(buf))
}

func (a *streamAEAD) open(buf []byte) {
	a.check(buf)
	a.stream.XORKeyStream(buf, buf)
}

// sum returns the tag of what was sealed.
func (a *streamAEAD) sum() [tagSize]byte { return a.tag(a.additional, a.size) }

// genuine reports whether mac, which may be cut short, is the tag.
func (a *streamAEAD) genuine(mac []byte) bool {
	tag := a.sum()
	return subtle.ConstantTimeCompare(tag[:min(len(mac), tagSize)], mac) == 1
}
