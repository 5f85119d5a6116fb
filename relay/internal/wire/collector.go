package wire

import (
	"golang.org/x/sync/semaphore"

	"github.com/smimerelay/smimerelay/internal/fault"
)

// step is by how much a Collector asks the budget: often enough to be fair,
// seldom enough to be cheap.
const step = 64 << 10

// firstSize is what a Collector starts with.
const firstSize = 8 << 10

// Collector gathers a message. It never holds more than its limit, nor more
// than the budget that all collectors share gives it; it takes everything that
// is written to it all the same, for the peer must be read to the end before it
// can be answered.
type Collector struct {
	limit  int
	budget *semaphore.Weighted // nil: no budget
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
		// Most messages are small, and grow to this in many steps otherwise.
		c.buf = make([]byte, 0, max(len(p), firstSize))
	}
	c.buf = append(c.buf, p...)
	return len(p), nil
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

// Bytes returns what was gathered.
func (c *Collector) Bytes() []byte { return c.buf }

// Release forgets the message and gives back its part of the budget. It may be
// called more than once.
func (c *Collector) Release() {
	if c.budget != nil && c.held > 0 {
		c.budget.Release(c.held)
	}
	c.held, c.buf = 0, nil
}
