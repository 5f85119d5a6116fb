package relay

import "context"

type memoryKey struct{}

// WithMemory returns a context in which the work on a message may ask for more
// memory than the message itself takes: reserve is asked, in octets, and gives it
// back when the message is answered.
func WithMemory(ctx context.Context, reserve func(octets int64) bool) context.Context {
	return context.WithValue(ctx, memoryKey{}, reserve)
}

// Memory returns what WithMemory was given, nil where memory is not limited.
func Memory(ctx context.Context) func(octets int64) bool {
	reserve, _ := ctx.Value(memoryKey{}).(func(int64) bool)
	return reserve
}
