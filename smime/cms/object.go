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
	size       int // of the content, in octets, before encryption; of a stream, negative if unknown

	block cipher.Block // CBC
	iv    []byte
	aead  cipher.AEAD // AEAD
	nonce []byte
	spec  *cipherSpec // of the AEAD
	key   []byte
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

// WriteTo writes the object to w, through a small buffer.
func (o *Object) WriteTo(w io.Writer) (n int64, err error) {
	content := pieceReader(slices.Clone(o.content))
	if o.sealed != nil {
		content = pieceReader{o.sealed[:len(o.sealed)-tagSize]}
	}
	t := &tally{w: w}
	err = o.stream(t, &content)
	return t.n, err
}

// stream writes the object with the content that is read.
func (o *Object) stream(w io.Writer, content io.Reader) error {
	s, err := o.sealer()
	if err != nil {
		return err
	}
	t := &target{w: w}
	t.put(o.head)
	if err := t.copy(content, s, int64(o.size)); err != nil {
		return err
	}
	if o.size < 0 {
		t.ends(2) // of the content, and of EncryptedContentInfo
	}
	t.put(o.mac(s))
	t.put(o.tail)
	if o.size < 0 {
		t.ends(3) // of the data, its tag, and ContentInfo
	}
	return t.err
}

// sealer returns what encrypts the content.
func (o *Object) sealer() (sealer, error) {
	switch {
	case o.block != nil:
		return cbcSealer{cipher.NewCBCEncrypter(o.block, o.iv)}, nil
	case o.sealed == nil && o.aead != nil:
		return o.spec.newStreamAEAD(o.key, o.nonce, nil)
	}
	return plainSealer{}, nil
}

// mac returns the element behind a content that s sealed, nil where there is none.
func (o *Object) mac(s sealer) []byte {
	if o.sealed != nil {
		return appendTag(slices.Clone(o.sealed[len(o.sealed)-tagSize:]))
	}
	if a, ok := s.(*streamAEAD); ok {
		tag := a.sum()
		return appendTag(tag[:])
	}
	return nil
}

// totalSize returns the number of octets in pieces.
func totalSize(pieces [][]byte) int {
	n := 0
	for _, p := range pieces {
		n += len(p)
	}
	return n
}
