package cms

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Limits bound what Decompress may produce.
type Limits struct {
	// MaxSize is the largest result in octets; 0 is 100 MB.
	MaxSize int64
	// MaxRatio is how many times larger than the compressed octets the result
	// may be; 0 is 200. Results of up to 1 MB are always allowed.
	MaxRatio int
	// Reserve is asked for memory, in octets, before more of the result is
	// produced: twice what it takes, for it is put together of blocks. False ends it
	// with ErrMemory. Nil allows all.
	Reserve func(octets int64) bool
}

// step is for how much of a result memory is asked at once.
const step = 1 << 20

// The defaults of Limits. Text compresses to a tenth, logs to a hundredth; zlib
// itself can do 1,032.
const (
	defaultMaxSize  = 100 << 20
	defaultMaxRatio = 200
	freeSize        = 1 << 20
)

// Decompress reads a ContentInfo with CompressedData (RFC 3274) and returns its
// content and the content's type. ErrTooBig and ErrMemory are returned before more
// than the limit was produced.
func Decompress(ber []byte, l Limits) (Type, []byte, error) {
	c := newCursor(ber)
	c.open(TypeCompressed)
	c.enter(tagSequence)
	c.small()
	alg := c.algorithm()
	c.enter(tagSequence)
	oid := c.primitive(tagOID)
	var content Content
	if c.enter(tagContext0) {
		content = c.octets(tagOctetString)
		c.leave()
	}
	c.leave()
	c.leave()
	c.close()
	if c.err != nil {
		return "", nil, c.err
	}
	if !alg.is(oidZlib) {
		return "", nil, unsupported("compression %v", alg)
	}
	plain, err := l.inflate(&content)
	if err != nil {
		return "", nil, err
	}
	return typeOf(oid), plain, nil
}

// bound returns the largest result for n compressed octets.
func (l Limits) bound(n int) int64 {
	if l.MaxSize <= 0 {
		l.MaxSize = defaultMaxSize
	}
	if l.MaxRatio <= 0 {
		l.MaxRatio = defaultMaxRatio
	}
	return min(l.MaxSize, max(int64(n)*int64(l.MaxRatio), freeSize))
}

// firstBlock is how much is inflated at first; each block is as large as all before it
// together, up to step.
const firstBlock = 32 << 10

func (l Limits) inflate(content *Content) ([]byte, error) {
	bound := l.bound(content.size)
	z, err := zlib.NewReader(bytes.NewReader(content.Bytes()))
	if err != nil {
		return nil, malformed("compressed content: %v", err)
	}
	var blocks [][]byte
	total, reserved := int64(0), int64(0)
	for r := io.LimitReader(z, bound+1); ; {
		size := min(max(total, firstBlock), step)
		if total+size > reserved {
			// Twice: the blocks, and what they are joined to.
			if l.Reserve != nil && !l.Reserve(2*step) {
				return nil, fmt.Errorf("%w: compressed content", ErrMemory)
			}
			reserved += step
		}
		block := make([]byte, size)
		n, err := fill(r, block)
		blocks = append(blocks, block[:n])
		total += int64(n)
		switch {
		case total > bound:
			return nil, tooBig("content of more than %d octets", bound)
		case errors.Is(err, io.EOF):
			return slices.Concat(blocks...), nil
		case err != nil:
			return nil, malformed("compressed content: %v", err)
		}
	}
}
