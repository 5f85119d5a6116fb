package gateway

import "github.com/smimerelay/smimerelay/internal/fault"

// errNoMemory is the answer where relay.Memory refuses: later there may be enough.
func errNoMemory(cause error) error {
	return fault.New(fault.Capacity, "too much mail is being processed, try again later", cause)
}
