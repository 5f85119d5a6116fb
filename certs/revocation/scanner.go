package revocation

import (
	"bufio"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// Limits of what a revocation list may hold in one piece, in octets.
const (
	maxElement    = 64 << 10 // a name, an entry
	maxExtensions = 1 << 20
	maxWhole      = 16 << 20 // a list signed as a whole, with Ed25519
)

// Tags of the DER that a list is made of.
const (
	tagInteger    = 0x02
	tagBitString  = 0x03
	tagUTCTime    = 0x17
	tagTime       = 0x18
	tagSequence   = 0x30
	tagExtensions = 0xa0
)

var (
	errShape = errors.New("not a well-formed revocation list")
	errLarge = errors.New("a part of the revocation list is too large")
)

// scanner reads DER as a stream, because lists of many megabytes must not be
// held in memory, and hashes the signed part on the way.
type scanner struct {
	r   *bufio.Reader
	pos int64

	head   [6]byte // of a value
	signed bool    // reading the signed part
	early  []byte
	hash   hash.Hash // nil until the algorithm is known
	whole  bool      // early keeps everything
}

// header reads the tag and the length of the next value, DER only.
func (s *scanner) header() (tag byte, length int64, err error) {
	b := &s.head
	if err := s.read(b[:2]); err != nil {
		return 0, 0, err
	}
	length = int64(b[1])
	if b[1] < 0x80 {
		return b[0], length, nil
	}
	n := int(b[1] & 0x7f)
	if n == 0 || n > 4 {
		return 0, 0, errShape
	}
	if err := s.read(b[2 : 2+n]); err != nil {
		return 0, 0, err
	}
	length = 0
	for _, c := range b[2 : 2+n] {
		length = length<<8 | int64(c)
	}
	return b[0], length, nil
}

// element reads a whole value of at most maxElement octets, its header included.
func (s *scanner) element() (tag byte, der []byte, err error) {
	tag, length, err := s.header()
	if err != nil {
		return 0, nil, err
	}
	return s.rest(tag, length, maxElement)
}

// rest is element for a value whose header was read.
func (s *scanner) rest(tag byte, length, limit int64) (byte, []byte, error) {
	if length > limit {
		return 0, nil, errLarge
	}
	head := appendHeader(nil, tag, length)
	der := make([]byte, len(head)+int(length))
	copy(der, head)
	return tag, der, s.read(der[len(head):])
}

// appendHeader writes a DER header.
func appendHeader(b []byte, tag byte, length int64) []byte {
	b = append(b, tag)
	if length < 0x80 {
		return append(b, byte(length))
	}
	n := 1
	for length>>(8*n) > 0 {
		n++
	}
	b = append(b, 0x80|byte(n))
	for i := n - 1; i >= 0; i-- {
		b = append(b, byte(length>>(8*i)))
	}
	return b
}

func (s *scanner) read(b []byte) error {
	if _, err := io.ReadFull(s.r, b); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return errShape
		}
		return fmt.Errorf("read the revocation list: %w", err)
	}
	s.pos += int64(len(b))
	if !s.signed {
		return nil
	}
	if s.hash != nil {
		s.hash.Write(b)
		return nil
	}
	if len(s.early)+len(b) > maxWhole {
		return errLarge
	}
	s.early = append(s.early, b...)
	return nil
}

// use starts hashing with the algorithm, over what was read before too.
func (s *scanner) use(a pkix.Algorithm) {
	if s.hash = a.Hash(); s.hash == nil {
		s.whole = true
		return
	}
	s.hash.Write(s.early)
	s.early = nil
}

// digest returns what the signature is checked over: the digest, or the data
// itself.
func (s *scanner) digest() []byte {
	if s.whole {
		return s.early
	}
	return s.hash.Sum(nil)
}
