package wire

import (
	"runtime/debug"
	"sync"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
)

// step is by how much a Collector asks the budget: often enough to be fair,
// seldom enough to be cheap.
const step = 64 << 10

const (
	// roomSize holds nearly every message while it comes, and the next one after it:
	// what is kept of a message has its size, and has not grown to it in steps.
	roomSize = 128 << 10
	// blockSize is the largest of the blocks in which a larger message is gathered.
	blockSize = 4 << 20
	// hugeSize is from which size on a message's memory is given back to the system at
	// once: the garbage collector would do it after as much again was allocated.
	hugeSize = 16 << 20
)

// rooms are used again.
var rooms = sync.Pool{New: func() any { return new([roomSize]byte) }}

// Collector gathers a message. It never holds more than its limit, nor more
// than the budget that all messages share gives it; it takes everything that
// is written to it all the same, for the peer must be read to the end before it
// can be answered.
type Collector struct {
	limit  int
	share  *relay.Share
	room   *[roomSize]byte // the first block, while it is the only one
	blocks [][]byte
	size   int
	whole  []byte // all of it, once it was asked for
	err    error
}

// NewCollector returns a Collector for a message of at most limit octets.
func NewCollector(limit int, budget *relay.Memory) *Collector {
	return &Collector{limit: limit, share: budget.Share()}
}

// Write keeps p or, once the message has grown too large, forgets all of it. It
// always reports success: Err has the verdict.
func (c *Collector) Write(p []byte) (int, error) {
	if c.err != nil {
		return len(p), nil
	}
	if c.size+len(p) > c.limit {
		c.fail(fault.New(fault.TooLarge, "message too large", nil))
		return len(p), nil
	}
	covered := (int64(c.size+len(p)) + step - 1) / step * step
	if !c.share.Cover(relay.MessageFactor * covered) {
		c.fail(relay.NoMemory(c.share, nil))
		return len(p), nil
	}
	c.size += len(p)
	if c.whole != nil {
		c.whole = append(c.whole, p...)
		return len(p), nil
	}
	c.keep(p)
	return len(p), nil
}

// keep puts p into the last block and, where that is full, into a new one.
func (c *Collector) keep(p []byte) {
	for len(p) > 0 {
		last := len(c.blocks) - 1
		if last < 0 || len(c.blocks[last]) == cap(c.blocks[last]) {
			c.blocks = append(c.blocks, c.block())
			continue
		}
		b := c.blocks[last]
		n := min(len(p), cap(b)-len(b))
		c.blocks[last] = append(b, p[:n]...)
		p = p[n:]
	}
}

// block returns the memory for what comes next: as much as there is already.
func (c *Collector) block() []byte {
	if len(c.blocks) == 0 {
		c.room = rooms.Get().(*[roomSize]byte)
		return c.room[:0]
	}
	have := 0
	for _, b := range c.blocks {
		have += len(b)
	}
	return make([]byte, 0, min(have, blockSize))
}

// Reserver reserves memory for what the message becomes while it is worked on; Release
// gives it back.
func (c *Collector) Reserver() relay.Reserver { return c.share }

func (c *Collector) fail(err error) {
	c.Release()
	c.err = err
}

// Err returns why the message is not to be had: a fault.TooLarge or a
// fault.Capacity.
func (c *Collector) Err() error { return c.err }

// Bytes returns what was gathered. It is the caller's, also after Release.
func (c *Collector) Bytes() []byte {
	if c.whole == nil && c.size > 0 {
		// A line end may be missing.
		whole := make([]byte, 0, c.size+2)
		for _, b := range c.blocks {
			whole = append(whole, b...)
		}
		c.drop()
		c.whole = whole
	}
	return c.whole
}

// drop forgets what is gathered; the room is for others.
func (c *Collector) drop() {
	if c.room != nil {
		rooms.Put(c.room)
	}
	c.room, c.blocks, c.whole = nil, nil, nil
	if c.size >= hugeSize {
		debug.FreeOSMemory()
	}
}

// Release forgets the message and gives back its part of the budget. It may be
// called more than once.
func (c *Collector) Release() {
	c.drop()
	c.size = 0
	c.share.Release()
}
