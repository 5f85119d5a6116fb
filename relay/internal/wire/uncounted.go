package wire

import "github.com/smimerelay/smimerelay/relay"

// Uncounted is the Meter of a listener that has none.
type Uncounted struct{}

// Refused implements relay.Meter.
func (Uncounted) Refused(*relay.Envelope, error) {}

// Answered implements relay.Meter.
func (Uncounted) Answered(relay.Tally) {}
