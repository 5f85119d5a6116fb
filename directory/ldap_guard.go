package directory

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
)

// Limits on what a server may send. The LDAP library trusts every length and
// builds a tree of every element: an answer of a few octets could otherwise make
// it wait for 2 GiB, and one of a few megabytes take a hundred times as much.
const (
	maxMessage   = 4 << 20  // octets in one LDAPMessage
	maxOperation = 16 << 20 // octets in all answers to one operation
	maxElements  = 50_000   // BER elements in one LDAPMessage
	maxDepth     = 32       // BER elements in each other
)

var (
	errMessageLong  = errors.New("ldap: answer longer than allowed")
	errMessageShape = errors.New("ldap: answer is not an LDAPMessage")
	errTooMany      = errors.New("ldap: answer has too many elements")
)

// guardedConn hands up only whole and well-formed LDAPMessages.
type guardedConn struct {
	net.Conn
	in      *bufio.Reader
	message []byte // the message being handed up
	rest    []byte // what of it is left
	left    atomic.Int64
	refused atomic.Pointer[refusedError]
}

// refusedError is what ends a connection because of what came on it. It speaks
// against one answer and not against the server: no one must be able to silence
// a server by asking for what is too large.
type refusedError struct{ error }

func newGuardedConn(c net.Conn) *guardedConn {
	g := &guardedConn{Conn: c, in: bufio.NewReader(c)}
	g.allow()
	return g
}

// allow lets the next operation have maxOperation octets of answers.
func (g *guardedConn) allow() { g.left.Store(maxOperation) }

// Read is called by one goroutine at a time.
func (g *guardedConn) Read(p []byte) (int, error) {
	if len(g.rest) == 0 {
		if err := g.next(); err != nil {
			if errors.Is(err, errMessageLong) || errors.Is(err, errMessageShape) || errors.Is(err, errTooMany) {
				g.refused.CompareAndSwap(nil, &refusedError{err})
			}
			return 0, err
		}
	}
	n := copy(p, g.rest)
	g.rest = g.rest[n:]
	return n, nil
}

// next reads one message. RFC 4511 section 5.1 allows only definite lengths.
func (g *guardedConn) next() error {
	tag, err := g.in.ReadByte()
	if err != nil {
		return err
	}
	if tag != 0x30 {
		return errMessageShape
	}
	header, length, err := readLength(g.in)
	if err != nil {
		return err
	}
	if length > maxMessage || g.left.Add(int64(-length)) < 0 {
		return fmt.Errorf("%w: %d octets", errMessageLong, length)
	}
	if cap(g.message) > 64<<10 {
		g.message = nil // a big answer is no reason to keep its memory
	}
	g.message = append(append(g.message[:0], tag), header...)
	start := len(g.message)
	if g.message, err = readN(g.in, g.message, length); err != nil {
		return err
	}
	if err := checkElements(g.message[start:]); err != nil {
		return err
	}
	g.rest = g.message
	return nil
}

// readN appends n octets as they come: what a length promises is not trusted
// before it is there.
func readN(r *bufio.Reader, buf []byte, n int) ([]byte, error) {
	const step = 64 << 10
	for n > 0 {
		k := min(n, step)
		at := len(buf)
		buf = append(buf, make([]byte, k)...)
		if _, err := io.ReadFull(r, buf[at:]); err != nil {
			return buf, err
		}
		n -= k
	}
	return buf, nil
}

// readLength reads the length octets of X.690 section 8.1.3 in definite form and
// returns them with their value.
func readLength(r io.ByteReader) (octets []byte, length int, err error) {
	first, err := r.ReadByte()
	if err != nil {
		return nil, 0, io.ErrUnexpectedEOF
	}
	octets = []byte{first}
	if first < 0x80 {
		return octets, int(first), nil
	}
	n := int(first & 0x7f)
	if n == 0 || n > 8 {
		return nil, 0, errMessageShape
	}
	for range n {
		b, err := r.ReadByte()
		if err != nil {
			return nil, 0, io.ErrUnexpectedEOF
		}
		if length > maxMessage {
			return nil, 0, errMessageLong
		}
		octets = append(octets, b)
		length = length<<8 | int(b)
	}
	return octets, length, nil
}

// checkElements walks the elements of a message without recursion.
func checkElements(b []byte) error {
	ends := make([]int, 1, maxDepth)
	ends[0] = len(b)
	count := 0
	for at := 0; ; {
		for at == ends[len(ends)-1] {
			if ends = ends[:len(ends)-1]; len(ends) == 0 {
				return nil
			}
		}
		if count++; count > maxElements {
			return errTooMany
		}
		constructed, start, end, err := element(b, at, ends[len(ends)-1])
		if err != nil {
			return err
		}
		at = end
		if constructed {
			if len(ends) == maxDepth {
				return errTooMany
			}
			ends = append(ends, end)
			at = start
		}
	}
}

// element reads the header at b[at:] and returns where its contents lie. LDAP
// has no tags over 30.
func element(b []byte, at, limit int) (constructed bool, start, end int, err error) {
	if limit-at < 2 || b[at]&0x1f == 0x1f {
		return false, 0, 0, errMessageShape
	}
	constructed = b[at]&0x20 != 0
	length, start := int(b[at+1]), at+2
	if length >= 0x80 {
		n := length & 0x7f
		if n == 0 || n > 8 || limit-start < n {
			return false, 0, 0, errMessageShape
		}
		length = 0
		for _, octet := range b[start : start+n] {
			if length > maxMessage {
				return false, 0, 0, errMessageShape
			}
			length = length<<8 | int(octet)
		}
		start += n
	}
	if length > limit-start {
		return false, 0, 0, errMessageShape
	}
	return constructed, start, start + length, nil
}
