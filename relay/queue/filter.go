package queue

import (
	"strings"
	"time"
)

// Status is what a delivery in the queue waits for.
type Status string

// The statuses of deliveries.
const (
	New      Status = "new"      // its first attempt
	Deferred Status = "deferred" // another attempt
	Active   Status = "active"   // an attempt is under way
	Waiting  Status = "waiting"  // its turn, by concurrency or rate of its route
	OnHold   Status = "hold"     // an administrator: nothing is attempted until it is released
)

// Filter chooses deliveries: those for which all holds that is set.
type Filter struct {
	// Sender and Recipient are addresses, or @domain; "<>" is the null sender.
	Sender, Recipient string
	Status            Status
	// Destination is that, or a part of it up to a slash.
	Destination string
	// Before is a time before which it was stored.
	Before time.Time
	// After is a number: only those behind it. With Limit, the most that are returned, a
	// queue is read in parts; 0 is all.
	After int64
	Limit int
}

// Empty reports whether f chooses everything.
func (f Filter) Empty() bool { return f == Filter{} }

// matches reports whether f chooses a delivery.
func (f Filter) matches(e *Entry) bool {
	return (f.Status == "" || f.Status == e.Status) &&
		(f.Before.IsZero() || e.Created.Before(f.Before)) &&
		(f.Destination == "" || e.Destination == f.Destination || strings.HasPrefix(e.Destination, f.Destination+"/")) &&
		(f.Sender == "" || f.Sender == "<>" && e.Sender == "" || matchesAddress(f.Sender, e.Sender)) &&
		(f.Recipient == "" || e.goesTo(f.Recipient))
}

func (e *Entry) goesTo(recipient string) bool {
	for _, r := range e.Recipients {
		if matchesAddress(recipient, r.Address) {
			return true
		}
	}
	return false
}

func matchesAddress(want, have string) bool {
	if strings.HasPrefix(want, "@") && len(have) > len(want) {
		have = have[len(have)-len(want):]
	}
	return strings.EqualFold(want, have)
}
