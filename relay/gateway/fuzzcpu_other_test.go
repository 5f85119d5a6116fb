//go:build !unix

package gateway

import "time"

// processorTime is not known.
func processorTime() time.Duration { return 0 }
