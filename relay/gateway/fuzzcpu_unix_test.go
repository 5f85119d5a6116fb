//go:build unix

package gateway

import (
	"syscall"
	"time"
)

// processorTime is what the process has used of the processor: how long a message takes
// must not depend on what else the machine does.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
