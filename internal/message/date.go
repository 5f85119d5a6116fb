package message

import (
	"errors"
	"net/mail"
	"time"
)

var errDate = errors.New("there is not exactly one Date field")

// Date returns the time of the Date field (RFC 5322 section 3.6.1), of which
// there must be exactly one.
func (m *Message) Date() (time.Time, error) {
	dates := m.All("Date")
	if len(dates) != 1 {
		return time.Time{}, errDate
	}
	return mail.ParseDate(dates[0])
}
