package smtpclient

import "time"

// timeouts are the longest waits, by what is waited for.
type timeouts struct {
	connect, command, data, block, end time.Duration
}

// newTimeouts returns those of RFC 5321 section 4.5.3.2, or t for all.
func newTimeouts(t time.Duration) timeouts {
	if t > 0 {
		return timeouts{connect: min(t, 30*time.Second), command: t, data: t, block: t, end: t}
	}
	return timeouts{
		connect: 30 * time.Second,
		command: 5 * time.Minute,
		data:    2 * time.Minute,
		block:   3 * time.Minute,
		end:     10 * time.Minute,
	}
}
