package wire

import (
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/smimerelay/smimerelay/internal/fault"
)

// step is by how much a Collector asks the budget: often enough to be fair,
// seldom enough to be cheap.
const step = 64 << 10

// roomSize holds nearly every message while it comes, and the next one after it: what
// is kept of a message has its size, and has not grown to it in steps.
const roomSize = 128 << 10

// rooms are used again.
var rooms = sync.Pool{New: func() any { return new([roomSize]byte) }}

// Collector gathers a message. It never holds more than its limit, nor more
// than the budget that all collectors share gives it; it takes everything that
// is written to it all the same, for the peer must be read to the end before it
// can be answered.
type Collector struct {
	limit  int
	budget *semaphore.Weighted // nil: no budget
	room   *[roomSize]byte     // holds buf while that fits in, until Bytes
	buf    []byte
	held   int64
	err    error
}

// NewCollector returns a Collector for a message of at most limit octets.
func NewCollector(limit int, budget *semaphore.Weighted) *Collector {
	return &Collector{limit: limit, budget: budget}
}

// Write keeps p or, once the message has grown too large, forgets all of it. It
// always reports success: Err has the verdict.
func (c *Collector) Write(p []byte) (int, error) {
	if c.err != nil {
		return len(p), nil
	}
	if len(c.buf)+len(p) > c.limit {
		c.fail(fault.New(fault.TooLarge, "message too large", nil))
		return len(p), nil
	}
	if !c.reserve(len(c.buf) + len(p)) {
		c.fail(fault.New(fault.Capacity, "too much mail is being processed, try again later", nil))
		return len(p), nil
	}
	if c.buf == nil {
		c.room = rooms.Get().(*[roomSize]byte)
		c.buf = c.room[:0]
	}
	if c.room != nil && len(c.buf)+len(p) > roomSize {
		c.own(len(c.buf) + max(len(p), roomSize))
	}
	c.buf = append(c.buf, p...)
	return len(p), nil
}

// own moves what is there out of the room, which others use next, into memory of its
// own.
func (c *Collector) own(size int) {
	c.buf = append(make([]byte, 0, size), c.buf...)
	c.leave()
}

func (c *Collector) leave() {
	rooms.Put(c.room)
	c.room = nil
}

// Reserve takes more of the budget, for what the message becomes while it is
// worked on; Release gives it back.
func (c *Collector) Reserve(octets int64) bool {
	if c.budget == nil {
		return true
	}
	if !c.budget.TryAcquire(octets) {
		return false
	}
	c.held += octets
	return true
}

// reserve makes the budget cover n octets. It does not wait: collectors that
// wait for each other while each holds a part would wait for ever.
func (c *Collector) reserve(n int) bool {
	if c.budget == nil || int64(n) <= c.held {
		return true
	}
	more := (int64(n) - c.held + step - 1) / step * step
	if !c.budget.TryAcquire(more) {
		return false
	}
	c.held += more
	return true
}

func (c *Collector) fail(err error) {
	c.Release()
	c.err = err
}

// Err returns why the message is not to be had: a fault.TooLarge or a
// fault.Capacity.
func (c *Collector) Err() error { return c.err }

// Bytes returns what was gathered. It is the caller's, also after Release.
func (c *Collector) Bytes() []byte {
	if c.room != nil {
		c.own(len(c.buf))
	}
	return c.buf
}

// Release forgets the message and gives back its part of the budget. It may be
// called more than once.
func (c *Collector) Release() {
	if c.budget != nil && c.held > 0 {
		c.budget.Release(c.held)
	}
	if c.room != nil {
		c.leave()
	}
	c.held, c.buf = 0, nil
}
