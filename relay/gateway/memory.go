package gateway

import "github.com/smimerelay/smimerelay/internal/fault"

// errNoMemory is the answer where relay.Memory refuses: later there may be enough.
func errNoMemory(cause error) error {
	return fault.New(fault.Capacity, "too much mail in work, try again later", cause)
}
