package cms

import (
	"crypto/cipher"
	"errors"
	"io"
)

// streamSize is the buffer of all that is done to a stream, in octets: whole blocks, and
// it stays in the cache of the processor.
const streamSize = 32 << 10

// fill reads until buf is full. Its error is that of r: io.ReadFull has the same for an
// end and for a stream that is cut off.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var k int
		k, err = r.Read(buf[n:])
		n += k
	}
	return n, err
}

// pump hands on what r gives, a buffer at a time: each full, but for the last. put may
// change the buffer, which has room for a block more.
func pump(r io.Reader, put func(buf []byte, last bool) error) error {
	buf := make([]byte, streamSize, streamSize+blockSize)
	for {
		n, err := fill(r, buf)
		last := errors.Is(err, io.EOF)
		if err != nil && !last {
			return err
		}
		if err := put(buf[:n], last); err != nil || last {
			return err
		}
	}
}

// A sealer makes of a content what is written in its place.
type sealer interface {
	// next does a buffer, in place. What it returns may be a block longer.
	next(buf []byte, last bool) []byte
}

// next makes whole blocks of AEAD ciphertext.
func (a *streamAEAD) next(buf []byte, _ bool) []byte {
	a.seal(buf)
	return buf
}

// A cbcSealer encrypts, with the padding at the end (RFC 5652 section 6.3).
type cbcSealer struct{ cipher.BlockMode }

func (s cbcSealer) next(buf []byte, last bool) []byte {
	if last {
		buf = appendPadding(buf, s.BlockSize())
	}
	s.CryptBlocks(buf, buf)
	return buf
}

// A plainSealer leaves a content what it is.
type plainSealer struct{}

func (plainSealer) next(buf []byte, _ bool) []byte { return buf }

// A pieceReader reads slices that count as joined.
type pieceReader [][]byte

// Read is that of io.Reader.
func (p *pieceReader) Read(b []byte) (n int, err error) {
	for n < len(b) && len(*p) > 0 {
		k := copy(b[n:], (*p)[0])
		n += k
		if (*p)[0] = (*p)[0][k:]; len((*p)[0]) == 0 {
			*p = (*p)[1:]
		}
	}
	if n == 0 && len(b) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// A tally counts what is written.
type tally struct {
	w io.Writer
	n int64
}

// Write is that of io.Writer.
func (t *tally) Write(b []byte) (int, error) {
	k, err := t.w.Write(b)
	t.n += int64(k)
	return k, err
}

// A target keeps the first failure to write.
type target struct {
	w   io.Writer
	err error
}

func (t *target) put(b []byte) {
	if t.err == nil && len(b) > 0 {
		_, t.err = t.w.Write(b)
	}
}

// chunk writes an OCTET STRING, which is a part of one (X.690 section 8.7.3).
func (t *target) chunk(b []byte) {
	if len(b) > 0 {
		t.put(appendLength([]byte{tagOctetString}, len(b)))
		t.put(b)
	}
}

// ends closes elements of indefinite length (X.690 section 8.1.5).
func (t *target) ends(n int) { t.put(make([]byte, 2*n)) }

// copy writes what s makes of the content: as it is where its size was known before and
// is size, in parts of an element of indefinite length where size is negative.
func (t *target) copy(content io.Reader, s sealer, size int64) error {
	total := int64(0)
	return pump(content, func(buf []byte, last bool) error {
		total += int64(len(buf))
		switch {
		case size >= 0 && (total > size || last && total < size):
			return malformed("the content has not the %d octets that were announced", size)
		case total > maxStream:
			return tooBig("content of more than %d octets", int64(maxStream))
		}
		if buf = s.next(buf, last); size >= 0 {
			t.put(buf)
		} else {
			t.chunk(buf)
		}
		return t.err
	})
}
