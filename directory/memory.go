package directory

import (
	"context"
	"time"

	"github.com/smimerelay/smimerelay/internal/background"
	"github.com/smimerelay/smimerelay/internal/cache"
)

// memory remembers the answers to one kind of question, and joins those who ask
// the same at the same time. Errors are not remembered.
type memory[T any] struct {
	answers *cache.Cache[string, *cache.Timed[T]]
	calls   *background.Group[T]
}

func newMemory[T any](d *Directory) memory[T] {
	return memory[T]{cache.New[string, *cache.Timed[T]](d.cfg.Entries, nil), background.NewGroup[T](d.background)}
}

// ask returns what is remembered for key, for as long as it is remembered that
// there is no certificate: an answer about a group may make a treatment weaker,
// and who is put into one expects to be in it soon.
func (m *memory[T]) ask(ctx context.Context, d *Directory, key string, find func(context.Context) (T, error)) (T, error) {
	if v, ok := m.remembered(d, key); ok {
		return v, nil
	}
	return m.calls.Do(ctx, key, func(ctx context.Context) (T, error) {
		if v, ok := m.remembered(d, key); ok {
			return v, nil
		}
		ctx, cancel := context.WithTimeout(ctx, d.cfg.Timeout)
		defer cancel()
		begun, generation := d.cfg.Clock(), d.flushes.Load()
		v, err := find(ctx)
		if err == nil && d.cfg.Negative > 0 {
			m.put(key, v, begun, begun.Add(d.cfg.Negative), generation)
		}
		return v, err
	})
}

func (m *memory[T]) remembered(d *Directory, key string) (T, bool) {
	a, ok := m.answers.Get(key)
	if !ok || !a.Current(d.cfg.Clock(), d.flushes.Load()) {
		var none T
		return none, false
	}
	return a.Value, true
}

func (m *memory[T]) put(key string, v T, stored, expires time.Time, generation uint64) {
	m.answers.Put(key, &cache.Timed[T]{Value: v, Stored: stored, Expires: expires, Generation: generation})
}
