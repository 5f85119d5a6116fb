// Package cache remembers values by key, within a bound: what was not used for the
// longest time leaves first. Who needs an answer that is not in it, and wants to ask
// for it only once at a time, has background.Group.
package cache

import (
	"container/list"
	"sync"
	"time"
)

// A Cache may be used by many goroutines at once.
type Cache[K comparable, V any] struct {
	limit int
	size  func(V) int

	mu      sync.Mutex
	used    int // the sum of the sizes
	entries map[K]*list.Element
	order   *list.List // of *item[K, V], the most recently used first
}

type item[K comparable, V any] struct {
	key   K
	value V
}

// New returns a cache of values whose sizes sum up to at most limit; below one it
// remembers nothing. Where size is nil, limit is the number of values.
func New[K comparable, V any](limit int, size func(V) int) *Cache[K, V] {
	if size == nil {
		size = func(V) int { return 1 }
	}
	return &Cache[K, V]{limit: limit, size: size, entries: make(map[K]*list.Element), order: list.New()}
}

// Get returns the value of a key, and whether there is one.
func (c *Cache[K, V]) Get(key K) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[key]
	if !ok {
		var none V
		return none, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*item[K, V]).value, true
}

// Put sets the value of a key. One that is larger than the cache is not remembered.
func (c *Cache[K, V]) Put(key K, value V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(key, value)
}

// Change sets the value of a key to what f makes of it, unless f reports false; no
// other change comes between. f is given whether there is a value, and must not use
// the cache.
func (c *Cache[K, V]) Change(key K, f func(old V, ok bool) (V, bool)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var old V
	e, ok := c.entries[key]
	if ok {
		old = e.Value.(*item[K, V]).value
	}
	if value, set := f(old, ok); set {
		c.put(key, value)
	}
}

func (c *Cache[K, V]) put(key K, value V) {
	if e, ok := c.entries[key]; ok {
		c.remove(e)
	}
	size := c.size(value)
	if size > c.limit {
		return
	}
	c.used += size
	c.entries[key] = c.order.PushFront(&item[K, V]{key, value})
	for c.used > c.limit {
		c.remove(c.order.Back())
	}
}

func (c *Cache[K, V]) remove(e *list.Element) {
	i := c.order.Remove(e).(*item[K, V])
	delete(c.entries, i.key)
	c.used -= c.size(i.value)
}

// Clear forgets everything.
func (c *Cache[K, V]) Clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.entries)
	c.order.Init()
	c.used = 0
}

// Each calls f for each value, the most recently used first. f must not use the cache.
func (c *Cache[K, V]) Each(f func(K, V)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for e := c.order.Front(); e != nil; e = e.Next() {
		i := e.Value.(*item[K, V])
		f(i.key, i.value)
	}
}

// Len returns the number of values.
func (c *Cache[K, V]) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.entries)
}

// Timed is a value that serves until a time, and while a generation lasts.
type Timed[V any] struct {
	Value V
	// Stored is when it was found out.
	Stored, Expires time.Time
	// Generation is the number of that in which it was found out.
	Generation uint64
}

// Current reports whether the value still serves.
func (t *Timed[V]) Current(now time.Time, generation uint64) bool {
	return t.Generation == generation && now.Before(t.Expires)
}
