package queue

import (
	"slices"
	"strings"
	"time"
)

// Statuses are all, in the order of a delivery's life.
var Statuses = []Status{New, Waiting, Active, Deferred, OnHold}

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

// matches reports whether f chooses a delivery.
func (f Filter) matches(e *Entry) bool {
	return (f.Status == "" || f.Status == e.Status) &&
		(f.Destination == "" || e.Destination == f.Destination || strings.HasPrefix(e.Destination, f.Destination+"/")) &&
		f.matchesMessage(e.Sender, e.Created) &&
		(f.Recipient == "" || slices.ContainsFunc(e.Recipients, func(r EntryRecipient) bool { return matchesAddress(f.Recipient, r.Address) }))
}

// MatchesHeld reports whether f chooses a held message, which has neither the status nor
// the destination of a delivery.
func (f Filter) MatchesHeld(e *HeldEntry) bool {
	return f.Status == "" && f.Destination == "" && f.matchesMessage(e.Sender, e.Since) &&
		(f.Recipient == "" || slices.ContainsFunc(e.Recipients, func(r HeldRecipient) bool { return matchesAddress(f.Recipient, r.Address) }))
}

// matchesMessage reports whether f allows a sender, "" for the null sender, and a time.
func (f Filter) matchesMessage(sender string, stored time.Time) bool {
	return (f.Before.IsZero() || stored.Before(f.Before)) &&
		(f.Sender == "" || f.Sender == "<>" && sender == "" || matchesAddress(f.Sender, sender))
}

func matchesAddress(want, have string) bool {
	if strings.HasPrefix(want, "@") && len(have) > len(want) {
		have = have[len(have)-len(want):]
	}
	return strings.EqualFold(want, have)
}
