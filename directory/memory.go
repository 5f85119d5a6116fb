package directory

import "context"

// memory remembers the answers to one kind of question, and joins those who ask
// the same at the same time. Errors are not remembered.
type memory[T any] struct {
	cache   *cache[T]
	flights flights[told[T]]
}

// told is an answer, or why there is none.
type told[T any] struct {
	value T
	err   error
}

func newMemory[T any](entries int) memory[T] {
	return memory[T]{cache: newCache[T](entries), flights: make(flights[told[T]])}
}

// ask returns what is remembered for key, for as long as it is remembered that
// there is no certificate: an answer about a group may make a treatment weaker,
// and who is put into one expects to be in it soon.
func (m *memory[T]) ask(ctx context.Context, d *Directory, key string, find func(context.Context) (T, error)) (T, error) {
	remembered := func() (told[T], bool) {
		e, ok := m.cache.get(key)
		return told[T]{value: e.result}, ok && e.version == d.flushes.Load() && d.cfg.Clock().Before(e.expires)
	}
	if a, ok := remembered(); ok {
		return a.value, nil
	}
	f := join(d, m.flights, key, remembered,
		func(ctx context.Context) told[T] {
			begun, version := d.cfg.Clock(), d.flushes.Load()
			v, err := find(ctx)
			if err == nil && d.cfg.Negative > 0 {
				m.cache.put(entry[T]{key: key, result: v, stored: begun, expires: begun.Add(d.cfg.Negative), version: version})
			}
			return told[T]{v, err}
		},
		func(err error) told[T] { return told[T]{err: err} })
	a, err := f.wait(ctx)
	if err != nil {
		return a.value, err
	}
	return a.value, a.err
}
