package relay

import (
	"context"
	"sync"

	"github.com/smimerelay/smimerelay/internal/fault"
)

// MessageFactor is how many times its size a message takes of Memory from its first
// octet on: the message as it came, one encrypted copy of it in base64, and room for
// what is collected as garbage behind both. What takes more, such as further copies
// and what is decompressed, is reserved besides.
const MessageFactor = 3

// smallShare is up to how many octets a share counts as that of a small message.
const smallShare = 4 << 20

// Memory is the budget for the messages in work, in octets, shared by all listeners
// and the queue. Large messages never get all of it: an eighth is left for small
// ones, so that these pass while large ones are in work or refused.
type Memory struct {
	mu                sync.Mutex
	limit, largeLimit int64
	used, large       int64 // large is the part of used that large shares have
	waiting           []*waiter
}

// waiter waits until its share can grow.
type waiter struct {
	share  *Share
	octets int64
	ready  chan struct{}
}

// NewMemory returns a budget of limit octets.
func NewMemory(limit int64) *Memory {
	m := &Memory{}
	m.SetLimit(limit)
	return m
}

// SetLimit changes the limit. What is held beyond a smaller one is kept.
func (m *Memory) SetLimit(limit int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.limit, m.largeLimit = limit, limit-limit/8
	m.wake()
}

// Share is the part of a Memory that one message has. It is for one goroutine at a
// time. The methods of a nil Share allow all.
type Share struct {
	memory *Memory
	held   int64
	never  bool
}

// Share returns an empty share; nil for a nil Memory, which is no limit.
func (m *Memory) Share() *Share {
	if m == nil {
		return nil
	}
	return &Share{memory: m}
}

// Reserve makes the share larger by a number of octets and reports whether there were
// as many. It never waits: messages that wait for each other while each holds a part
// would wait for ever.
func (s *Share) Reserve(octets int64) bool {
	if s == nil {
		return true
	}
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	s.never = s.never || !s.memory.possible(s.held+octets)
	return s.memory.take(s, octets)
}

// Cover makes the share hold n octets at least, as Reserve does.
func (s *Share) Cover(n int64) bool { return s == nil || n <= s.held || s.Reserve(n-s.held) }

// Wait is Reserve for a share that holds nothing yet: it waits for the memory until
// ctx ends. What could never be had is given as much as there is in all: it is then
// alone.
func (s *Share) Wait(ctx context.Context, octets int64) error {
	if s == nil {
		return nil
	}
	m := s.memory
	m.mu.Lock()
	octets = min(octets, m.largeLimit)
	if len(m.waiting) == 0 && m.take(s, octets) {
		m.mu.Unlock()
		return nil
	}
	w := &waiter{share: s, octets: octets, ready: make(chan struct{})}
	m.waiting = append(m.waiting, w)
	m.wake()
	m.mu.Unlock()
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
		m.giveUp(w)
		return ctx.Err()
	}
}

// Never reports whether Reserve was asked for more than a message can have even if
// there is no other.
func (s *Share) Never() bool { return s != nil && s.never }

// Release gives everything back. It may be called more than once.
func (s *Share) Release() {
	if s == nil {
		return
	}
	m := s.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	m.release(s)
}

func (m *Memory) release(s *Share) {
	m.used -= s.held
	if s.held > smallShare {
		m.large -= s.held
	}
	s.held = 0
	m.wake()
}

// possible reports whether one share can hold n octets.
func (m *Memory) possible(n int64) bool {
	return n <= m.largeLimit || n <= smallShare && n <= m.limit
}

// take lets a share grow if there is room for it.
func (m *Memory) take(s *Share, octets int64) bool {
	now, large := s.held+octets, m.large
	if s.held > smallShare {
		large -= s.held
	}
	if now > smallShare {
		large += now
	}
	if m.used+octets > m.limit || now > smallShare && large > m.largeLimit {
		return false
	}
	m.used, m.large, s.held = m.used+octets, large, now
	return true
}

// wake lets those go on that can: a small one need not wait behind a large one.
func (m *Memory) wake() {
	left, blocked := m.waiting[:0], false
	for _, w := range m.waiting {
		large := w.octets > smallShare
		if large && blocked || !m.take(w.share, w.octets) {
			blocked = blocked || large
			left = append(left, w)
			continue
		}
		close(w.ready)
	}
	clear(m.waiting[len(left):])
	m.waiting = left
}

// giveUp ends the wait of one whose context ended, also if it was served meanwhile.
func (m *Memory) giveUp(w *waiter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, other := range m.waiting {
		if other == w {
			m.waiting = append(m.waiting[:i], m.waiting[i+1:]...)
			m.wake()
			return
		}
	}
	m.release(w.share)
}

// Reserver reserves memory for what the work on a message takes besides.
type Reserver interface {
	// Reserve reports whether there are as many octets now.
	Reserve(octets int64) bool
	// Never reports whether it was asked for more than there can ever be.
	Never() bool
}

// NoMemory returns the error for what r refused: later there may be enough, or there
// never is.
func NoMemory(r Reserver, cause error) error {
	if r.Never() {
		return fault.New(fault.TooLarge, "the message needs more memory than limits.message_memory allows for one message", cause)
	}
	return fault.New(fault.Capacity, "too much mail is being processed, try again later", cause)
}

type memoryKey struct{}

// WithMemory returns a context in which the work on a message may ask for more memory
// than MessageFactor times its size; it is given back when the message is answered.
func WithMemory(ctx context.Context, r Reserver) context.Context {
	return context.WithValue(ctx, memoryKey{}, r)
}

// MemoryOf returns what WithMemory was given; one that allows all where memory is not
// limited.
func MemoryOf(ctx context.Context) Reserver {
	if r, ok := ctx.Value(memoryKey{}).(Reserver); ok {
		return r
	}
	return (*Share)(nil)
}
