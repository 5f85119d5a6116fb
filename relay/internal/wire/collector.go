package wire

import (
	"io"
	"runtime/debug"
	"sync"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
)

// step is by how much a Collector asks the budget: often enough to be fair,
// seldom enough to be cheap.
const step = 64 << 10

const (
	// smallRoom holds most messages while they come, and roomSize nearly all of them;
	// both are used again. What is kept of a message has its size, and has not grown
	// to it in steps.
	smallRoom = 16 << 10
	roomSize  = 128 << 10
	// blockSize is the largest of the blocks in which a larger message is gathered.
	blockSize = 4 << 20
	// hugeSize is from which size on a message's memory is given back to the system at
	// once: the garbage collector would do it after as much again was allocated.
	hugeSize = 16 << 20
)

var (
	smallRooms = sync.Pool{New: func() any { return new([smallRoom]byte) }}
	rooms      = sync.Pool{New: func() any { return new([roomSize]byte) }}
)

// Collector gathers a message. It never holds more than its limit, nor more
// than the budget that all messages share gives it; it takes everything that
// is written to it all the same, for the peer must be read to the end before it
// can be answered.
type Collector struct {
	limit  int
	share  *relay.Share
	small  *[smallRoom]byte // the only block, until it is full
	room   *[roomSize]byte  // the first block then
	blocks [][]byte
	few    [4][]byte // the memory of blocks, while they are few
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

// ReadFrom is io.ReaderFrom, with a buffer that is used again.
func (c *Collector) ReadFrom(r io.Reader) (int64, error) {
	buffer := smallRooms.Get().(*[smallRoom]byte)
	defer smallRooms.Put(buffer)
	return io.CopyBuffer(struct{ io.Writer }{c}, r, buffer[:])
}

// keep puts p into the last block and, where that is full, into a new one.
func (c *Collector) keep(p []byte) {
	for len(p) > 0 {
		last := len(c.blocks) - 1
		if last < 0 || len(c.blocks[last]) == cap(c.blocks[last]) {
			c.grow()
			continue
		}
		b := c.blocks[last]
		n := min(len(p), cap(b)-len(b))
		c.blocks[last] = append(b, p[:n]...)
		p = p[n:]
	}
}

// grow makes room for what comes next: behind the rooms as much as there is already.
func (c *Collector) grow() {
	switch {
	case len(c.blocks) == 0:
		c.small = smallRooms.Get().(*[smallRoom]byte)
		c.blocks = append(c.few[:0], c.small[:0])
	case c.small != nil:
		c.room = rooms.Get().(*[roomSize]byte)
		c.blocks[0] = append(c.room[:0], c.blocks[0]...)
		smallRooms.Put(c.small)
		c.small = nil
	default:
		have := 0
		for _, b := range c.blocks {
			have += len(b)
		}
		c.blocks = append(c.blocks, make([]byte, 0, min(have, blockSize)))
	}
}

// Reserver reserves memory for what the message becomes while it is worked on; Release
// gives it back.
func (c *Collector) Reserver() relay.Reserver { return c.share }

// fail gives the budget back before the memory, which takes longer: messages that come
// at once would all be refused meanwhile, where one would do.
func (c *Collector) fail(err error) {
	c.err = err
	c.share.Release()
	c.Release()
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
	if c.small != nil {
		smallRooms.Put(c.small)
	}
	if c.room != nil {
		rooms.Put(c.room)
	}
	c.small, c.room, c.blocks, c.whole = nil, nil, nil, nil
	c.few = [4][]byte{}
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
