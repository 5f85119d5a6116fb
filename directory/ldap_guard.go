package directory

import (
	"bufio"
	"cmp"
	"net"
	"sync/atomic"

	"github.com/smimerelay/smimerelay/internal/ldapwire"
)

// Limits on what a server may send: an answer of a few octets could otherwise make the
// LDAP library wait for 2 GiB, and one of a few megabytes take a hundred times as much.
const (
	maxMessage   = 4 << 20  // octets in one LDAPMessage
	maxOperation = 16 << 20 // octets in all answers to one operation
	maxElements  = 50_000   // BER elements in one LDAPMessage
	maxDepth     = 32       // BER elements in each other
)

// guardedConn hands up only whole and well-formed LDAPMessages.
type guardedConn struct {
	net.Conn
	in      *bufio.Reader
	message []byte // the message being handed up
	rest    []byte // what of it is left
	left    atomic.Int64
	inAll   bool // left is for all operations
	refused atomic.Pointer[refusedError]
}

// refusedError is what ends a connection because of what came on it. It speaks
// against one answer and not against the server: no one must be able to silence
// a server by asking for what is too large.
type refusedError struct{ error }

// newGuardedConn guards a connection on which all answers have up to a number of octets; 0 is
// maxOperation for each operation.
func newGuardedConn(c net.Conn, answers int64) *guardedConn {
	g := &guardedConn{Conn: c, in: bufio.NewReader(c), inAll: answers > 0}
	g.left.Store(cmp.Or(answers, maxOperation))
	return g
}

// allow lets the next operation have its octets of answers.
func (g *guardedConn) allow() {
	if !g.inAll {
		g.left.Store(maxOperation)
	}
}

// Read is called by one goroutine at a time.
func (g *guardedConn) Read(p []byte) (int, error) {
	if len(g.rest) == 0 {
		if err := g.next(); err != nil {
			if ldapwire.Refused(err) {
				g.refused.CompareAndSwap(nil, &refusedError{err})
			}
			return 0, err
		}
	}
	n := copy(p, g.rest)
	g.rest = g.rest[n:]
	return n, nil
}

// next reads one message.
func (g *guardedConn) next() error {
	if cap(g.message) > 64<<10 {
		g.message = nil // a big answer is no reason to keep its memory
	}
	limits := ldapwire.Limits{Octets: int(min(maxMessage, g.left.Load())), Elements: maxElements, Depth: maxDepth}
	message, err := limits.Read(g.in, g.message)
	if err != nil {
		return err
	}
	g.left.Add(-int64(len(message)))
	g.message, g.rest = message, message
	return nil
}
