package smtpd

import "github.com/smimerelay/smimerelay/relay"

// decided keeps what was decided on the message, for the count.
func (s *session) decided(o *relay.Outcome) {
	if tx := s.current(); tx != nil {
		tx.outcome = o
	}
}

// answered counts a message, whose answer is err or that of each recipient. One
// that the client gave up itself has none.
func (s *session) answered(err error) {
	tx := s.current()
	if tx == nil {
		return
	}
	t := relay.Tally{Envelope: tx.env, Outcome: tx.outcome, Err: err, Answers: tx.answers, Taken: relay.Queued}
	if s.config().LMTP {
		t.Taken = relay.Delivered
	}
	s.config().Meter.Answered(t)
}
