package service

import "github.com/smimerelay/smimerelay/internal/config"

// ownMemory is what the process takes besides the messages in work: certificates,
// caches, connections.
const ownMemory = 64 << 20

// memoryLimit is the soft limit of the process in octets, 0 where the environment sets
// it. Without one, garbage could double what limits.message_memory allows.
func memoryLimit(l *config.Limits, environment string) int64 {
	switch {
	case l.MemoryLimit > 0:
		return int64(l.MemoryLimit)
	case environment != "":
		return 0
	}
	return int64(l.MessageMemory) + ownMemory
}
