package relay

import "time"

// Event is what became of recipients of a delivery, for a report to its sender.
type Event struct {
	Kind EventKind
	// About are the recipients, with the error where something failed.
	About []RecipientStatus
	// Arrived is when the message came in; zero: now.
	Arrived time.Time
	// Until is when those who are delayed are given up.
	Until time.Time
}

// EventKind says what an Event is.
type EventKind int

const (
	// Failed recipients do not get the message.
	Failed EventKind = iota
	// Delayed recipients have not got it yet.
	Delayed
	// Relayed recipients have it as far as is known: the next hop took it, and
	// will not report that it was delivered (RFC 3461 section 5.2.2).
	Relayed
)
