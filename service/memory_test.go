package service

import (
	"testing"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/relay"
)

// A message of message_size can be processed with the least message_memory that the
// configuration takes.
func TestMemoryFactor(t *testing.T) {
	const size = 50 << 20
	if !relay.NewMemory(config.MemoryFactor * size).Share().Reserve(relay.MessageFactor * size) {
		t.Error("a message of message_size is never processed")
	}
}

func TestMemoryLimit(t *testing.T) {
	for _, tc := range []struct {
		limit       config.Size
		environment string
		want        int64
	}{
		{0, "", 400<<20 + ownMemory},
		{0, "1GiB", 0},
		{300 << 20, "1GiB", 300 << 20},
	} {
		l := config.Limits{MessageMemory: 400 << 20, MemoryLimit: tc.limit}
		if got := memoryLimit(&l, tc.environment); got != tc.want {
			t.Errorf("memory_limit %d with GOMEMLIMIT=%q: %d, want %d", tc.limit, tc.environment, got, tc.want)
		}
	}
}
