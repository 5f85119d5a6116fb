package smtpclient

import (
	"errors"
	"fmt"
	"time"
)

// allowance bounds an attempt as a whole. Each wait has its time-out, and a server that
// answers just within all of them would hold a worker for hours: it gets as many commands as
// there are recipients. Nil is no limit.
type allowance struct {
	clock func() time.Time
	lasts time.Duration
	until time.Time
}

// slowest is how many octets of a message in a second are given time: half of what a
// telephone line carries.
const slowest = 4096

// begin bounds the attempt, from the first server on.
func (t *Transfer) begin(c *Config) {
	if t.allowance == nil && c.Attempt > 0 {
		t.allowance = (&allowance{clock: c.Clock, lasts: c.Attempt + time.Duration(t.size()/slowest)*time.Second}).again()
	}
}

// again returns the allowance from now on: for the answers to a message that a server has,
// which would get it twice if they were not read.
func (a *allowance) again() *allowance {
	if a == nil {
		return nil
	}
	return &allowance{clock: a.clock, lasts: a.lasts, until: a.clock().Add(a.lasts)}
}

var errTooLong = errors.New("the attempt took too long")

// cap returns how long to wait where d is the time-out. Its error is that the time is over.
func (a *allowance) cap(d time.Duration) (time.Duration, error) {
	if a == nil {
		return d, nil
	}
	left := a.until.Sub(a.clock())
	if left <= 0 {
		return 0, fmt.Errorf("%w: more than %s", errTooLong, a.lasts)
	}
	return min(d, left), nil
}

// over reports whether the time is over.
func (a *allowance) over() bool {
	_, err := a.cap(0)
	return err != nil
}

// explain returns err, or what it means where the time is over: a wait was cut short.
func (a *allowance) explain(err error) error {
	if !a.over() || errors.Is(err, errTooLong) {
		return err
	}
	return fmt.Errorf("%w: more than %s: %w", errTooLong, a.lasts, err)
}
