// Package ldapwire reads LDAPMessages from those who may be hostile. The LDAP and BER
// libraries trust every length and build a tree of every element: what they get is whole
// and within limits by the time they see it.
package ldapwire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// Limits bound one LDAPMessage.
type Limits struct {
	// Octets of its contents, and Elements of BER in it.
	Octets, Elements int
	// Depth is how many elements may be in each other.
	Depth int
}

// Why a message is refused.
var (
	errLong    = errors.New("ldap: message longer than allowed")
	errShape   = errors.New("ldap: this is not an LDAPMessage")
	errTooMany = errors.New("ldap: message has too many elements")
)

// Refused reports whether an error says that what came was refused, and not that the
// connection failed.
func Refused(err error) bool {
	return errors.Is(err, errLong) || errors.Is(err, errShape) || errors.Is(err, errTooMany)
}

// Read reads one message, its header included, into buf, which it lets grow as octets
// come. RFC 4511 section 5.1 allows only definite lengths.
func (l Limits) Read(in *bufio.Reader, buf []byte) ([]byte, error) {
	tag, err := in.ReadByte()
	if err != nil {
		return nil, err
	}
	if tag != 0x30 {
		return nil, errShape
	}
	header, length, err := l.readLength(in)
	if err != nil {
		return nil, err
	}
	if length > l.Octets {
		return nil, fmt.Errorf("%w: %d octets", errLong, length)
	}
	message := append(append(buf[:0], tag), header...)
	start := len(message)
	if message, err = readN(in, message, length); err != nil {
		return nil, err
	}
	return message, l.check(message[start:])
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
func (l Limits) readLength(r io.ByteReader) (octets []byte, length int, err error) {
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
		return nil, 0, errShape
	}
	for range n {
		b, err := r.ReadByte()
		if err != nil {
			return nil, 0, io.ErrUnexpectedEOF
		}
		if length > l.Octets {
			return nil, 0, errLong
		}
		octets = append(octets, b)
		length = length<<8 | int(b)
	}
	return octets, length, nil
}

// check walks the elements of a message without recursion.
func (l Limits) check(b []byte) error {
	ends := make([]int, 1, l.Depth)
	ends[0] = len(b)
	count := 0
	for at := 0; ; {
		for at == ends[len(ends)-1] {
			if ends = ends[:len(ends)-1]; len(ends) == 0 {
				return nil
			}
		}
		if count++; count > l.Elements {
			return errTooMany
		}
		constructed, start, end, err := l.element(b, at, ends[len(ends)-1])
		if err != nil {
			return err
		}
		at = end
		if constructed {
			if len(ends) == l.Depth {
				return errTooMany
			}
			ends = append(ends, end)
			at = start
		}
	}
}

// element reads the header at b[at:] and returns where its contents lie. LDAP
// has no tags over 30.
func (l Limits) element(b []byte, at, limit int) (constructed bool, start, end int, err error) {
	if limit-at < 2 || b[at]&0x1f == 0x1f {
		return false, 0, 0, errShape
	}
	constructed = b[at]&0x20 != 0
	length, start := int(b[at+1]), at+2
	if length >= 0x80 {
		n := length & 0x7f
		if n == 0 || n > 8 || limit-start < n {
			return false, 0, 0, errShape
		}
		length = 0
		for _, octet := range b[start : start+n] {
			if length > l.Octets {
				return false, 0, 0, errShape
			}
			length = length<<8 | int(octet)
		}
		start += n
	}
	if length > limit-start {
		return false, 0, 0, errShape
	}
	return constructed, start, start + length, nil
}
