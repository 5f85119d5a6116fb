package cms

import (
	"crypto/cipher"
	"io"
	"slices"
)

// Object is a CMS object that is ready to be written. All that can fail has
// been done; the content is encrypted while it is written, straight from the
// caller's pieces to where it belongs.
type Object struct {
	head, tail []byte
	content    [][]byte
	size       int // of the content, in octets, before encryption

	block cipher.Block // CBC
	iv    []byte
	aead  cipher.AEAD // AEAD
	nonce []byte
	// sealed is the ciphertext with its tag where it had to be made at once.
	sealed []byte
}

// Len returns the exact size in octets.
func (o *Object) Len() int {
	n := len(o.head) + len(o.tail) + o.size
	switch {
	case o.block != nil:
		n = len(o.head) + len(o.tail) + paddedSize(o.size, o.block.BlockSize())
	case o.aead != nil:
		n += macHeader + tagSize
	}
	return n
}

// macHeader is the size of the identifier and length octets of the mac field.
const macHeader = 2

// Bytes returns the object.
func (o *Object) Bytes() []byte { return o.AppendTo(nil) }

// AppendTo appends the object to dst, without moving dst if it has room for Len
// octets more. That room must not overlap the content.
func (o *Object) AppendTo(dst []byte) []byte {
	dst = slices.Grow(dst, o.Len())
	dst = append(dst, o.head...)
	switch {
	case o.block != nil:
		dst = o.appendCBC(dst)
	case o.aead != nil:
		dst = o.appendAEAD(dst)
	default:
		for _, piece := range o.content {
			dst = append(dst, piece...)
		}
	}
	return append(dst, o.tail...)
}

// appendCBC appends the ciphertext.
func (o *Object) appendCBC(dst []byte) []byte {
	start := len(dst)
	dst = dst[:start+paddedSize(o.size, o.block.BlockSize())]
	w := cbcWriter{mode: cipher.NewCBCEncrypter(o.block, o.iv), out: dst[start:]}
	for _, piece := range o.content {
		w.write(piece)
	}
	w.close()
	return dst
}

// appendAEAD appends the ciphertext and the mac element. The library seals one
// slice only: several pieces are joined where the ciphertext belongs and sealed
// in place.
func (o *Object) appendAEAD(dst []byte) []byte {
	start := len(dst)
	var plain []byte
	if o.sealed != nil {
		return appendTag(append(dst, o.sealed...))
	}
	if len(o.content) == 1 {
		plain = o.content[0]
	} else {
		for _, piece := range o.content {
			dst = append(dst, piece...)
		}
		plain = dst[start:]
	}
	return appendTag(o.aead.Seal(dst[:start], o.nonce, plain, nil))
}

// appendTag makes an element of the tag at the end of dst.
func appendTag(dst []byte) []byte {
	tag := [tagSize]byte(dst[len(dst)-tagSize:])
	dst = append(dst[:len(dst)-tagSize], tagOctetString, tagSize)
	return append(dst, tag[:]...)
}

// WriteTo writes the object to w. With CBC and for signed data it needs a small
// buffer only; authenticated ciphers are written in one piece.
func (o *Object) WriteTo(w io.Writer) (n int64, err error) {
	if o.aead != nil {
		k, err := w.Write(o.Bytes())
		return int64(k), err
	}
	put := func(b []byte) {
		if err == nil {
			var k int
			k, err = w.Write(b)
			n += int64(k)
		}
	}
	put(o.head)
	if o.block == nil {
		for _, piece := range o.content {
			put(piece)
		}
	} else {
		o.streamCBC(put)
	}
	put(o.tail)
	return n, err
}

// streamSize is the buffer of WriteTo, in octets: it stays in the cache of the
// processor.
const streamSize = 32 << 10

// streamCBC hands the ciphertext to put, one buffer at a time.
func (o *Object) streamCBC(put func([]byte)) {
	size := o.block.BlockSize()
	buf := make([]byte, streamSize+2*size)
	w := cbcWriter{mode: cipher.NewCBCEncrypter(o.block, o.iv)}
	for _, piece := range o.content {
		for len(piece) > 0 {
			k := min(len(piece), streamSize)
			w.out, w.n = buf, 0
			w.write(piece[:k])
			put(buf[:w.n])
			piece = piece[k:]
		}
	}
	w.out, w.n = buf, 0
	w.close()
	put(buf[:w.n])
}

// totalSize returns the number of octets in pieces.
func totalSize(pieces [][]byte) int {
	n := 0
	for _, p := range pieces {
		n += len(p)
	}
	return n
}
