package smtpd

import (
	"errors"

	"github.com/smimerelay/smimerelay/relay"
)

// decided keeps what was decided on the message, for the count.
func (s *session) decided(a *relay.Answer) {
	if tx := s.current(); tx != nil {
		tx.decided = a
	}
}

// answered counts a message, whose answer is err or that of each recipient. One
// that the client gave up itself has none.
func (s *session) answered(err error) {
	tx := s.current()
	if tx == nil || errors.Is(err, errGivenUp) {
		return
	}
	s.config().Meter.Answered(relay.Tally{Envelope: tx.env, Decided: tx.decided, Err: err, Answers: tx.answers})
}
