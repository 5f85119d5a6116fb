package cms

import (
	"crypto/cipher"
	"crypto/subtle"
)

// paddedSize returns the size of n octets with their padding, which is never
// empty (RFC 5652 section 6.3).
func paddedSize(n, block int) int { return n/block*block + block }

// appendPadding fills the last block up.
func appendPadding(content []byte, block int) []byte {
	n := block - len(content)%block
	for range n {
		content = append(content, byte(n))
	}
	return content
}

// A cbcWriter encrypts pieces of any size into out.
type cbcWriter struct {
	mode  cipher.BlockMode
	out   []byte
	n     int // octets of out in use
	carry [16]byte
	held  int // octets of carry in use: what does not fill a block yet
}

// write encrypts all whole blocks, straight from piece where it can.
func (w *cbcWriter) write(piece []byte) {
	size := w.mode.BlockSize()
	if w.held > 0 {
		k := copy(w.carry[w.held:size], piece)
		w.held += k
		piece = piece[k:]
		if w.held < size {
			return
		}
		w.crypt(w.carry[:size])
		w.held = 0
	}
	whole := len(piece) / size * size
	w.crypt(piece[:whole])
	w.held = copy(w.carry[:], piece[whole:])
}

// close encrypts the last block with its padding.
func (w *cbcWriter) close() {
	size := w.mode.BlockSize()
	for i := w.held; i < size; i++ {
		w.carry[i] = byte(size - w.held)
	}
	w.crypt(w.carry[:size])
}

func (w *cbcWriter) crypt(blocks []byte) {
	w.mode.CryptBlocks(w.out[w.n:], blocks)
	w.n += len(blocks)
}

// openCBC decrypts src into dst, which may be the same memory, and removes the
// padding. The padding is judged as a whole and without a branch on its value;
// only whether it is good shows.
func openCBC(dst, src []byte, b cipher.Block, iv []byte) ([]byte, error) {
	size := b.BlockSize()
	if len(src) == 0 || len(src)%size != 0 || len(iv) != size {
		return nil, ErrDecrypt
	}
	dst = dst[:len(src)]
	cipher.NewCBCDecrypter(b, iv).CryptBlocks(dst, src)
	pad, good := padding(dst[len(dst)-size:])
	if good == 0 {
		clear(dst)
		return nil, ErrDecrypt
	}
	return dst[:len(dst)-pad], nil
}

// padding returns the length of the padding in the last block, and 1 if every
// octet of it is right.
func padding(last []byte) (n, good int) {
	size := len(last)
	n = int(last[size-1])
	good = subtle.ConstantTimeLessOrEq(1, n) & subtle.ConstantTimeLessOrEq(n, size)
	for i, b := range last {
		inside := subtle.ConstantTimeLessOrEq(size-i, n)
		right := subtle.ConstantTimeByteEq(b, byte(n))
		good &= right | (1 ^ inside)
	}
	return n, good
}
