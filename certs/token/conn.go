package token

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/smimerelay/smimerelay/certs/token/contract"
)

// errLost says that the helper ended, or said what is not the contract, before it
// answered.
var errLost = errors.New("connection to the helper lost")

// conn is a connection to a helper. Requests are written by one goroutine and responses
// read by another, so that a caller who has waited long enough can leave.
type conn struct {
	rw    io.ReadWriteCloser
	out   chan contract.Request
	done  chan struct{} // closed when the connection has failed
	group sync.WaitGroup

	mu      sync.Mutex
	pending map[uint64]chan contract.Response
	next    uint64
	err     error
}

func newConn(rw io.ReadWriteCloser) *conn {
	c := &conn{
		rw: rw, out: make(chan contract.Request), done: make(chan struct{}),
		pending: map[uint64]chan contract.Response{},
	}
	c.group.Go(c.write)
	c.group.Go(c.read)
	return c
}

// alive reports whether the connection has not failed.
func (c *conn) alive() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// fail ends the connection; the first reason is the one that is reported.
func (c *conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = fmt.Errorf("%w: %w", errLost, err)
	close(c.done)
	// No caller that waits for an answer waits for the end of the helper.
	c.group.Go(func() { _ = c.rw.Close() })
}

func (c *conn) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// close ends the connection and waits for its goroutines. How the helper ends is no
// error of the gateway's.
func (c *conn) close() {
	c.fail(errClosed)
	c.group.Wait()
}

func (c *conn) write() {
	for {
		select {
		case q := <-c.out:
			if err := contract.WriteRequest(c.rw, q); err != nil {
				c.fail(err)
				return
			}
		case <-c.done:
			return
		}
	}
}

func (c *conn) read() {
	for {
		a, err := contract.ReadResponse(c.rw)
		if err == nil && !c.deliver(a) {
			err = fmt.Errorf("a response to request %d, which was not made", a.ID)
		}
		if err != nil {
			c.fail(err)
			return
		}
	}
}

// deliver hands a response to who waits for it.
func (c *conn) deliver(a contract.Response) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	waiting, ok := c.pending[a.ID]
	delete(c.pending, a.ID)
	if ok {
		waiting <- a
	}
	return ok
}

// call makes a request. A helper that does not answer before limit ends is ended: it
// would keep its place for as long as it hangs.
func (c *conn) call(q contract.Request, limit <-chan time.Time) (contract.Response, error) {
	answer := make(chan contract.Response, 1)
	c.mu.Lock()
	c.next++
	q.ID = c.next
	c.pending[q.ID] = answer
	c.mu.Unlock()
	out := c.out
	for {
		select {
		case out <- q:
			out = nil // it is written; what remains is to wait
		case a := <-answer:
			return opened(a)
		case <-c.done:
			select { // it may have answered before it ended
			case a := <-answer:
				return opened(a)
			default:
			}
			return contract.Response{}, c.failure()
		case <-limit:
			c.fail(errTimeout)
			return contract.Response{}, errTimeout
		}
	}
}

// opened separates the error from a response.
func opened(a contract.Response) (contract.Response, error) {
	if a.Error != nil {
		return a, a.Error
	}
	return a, nil
}
