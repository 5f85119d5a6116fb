package relay

// Meter counts what clients are answered. A listener calls it when it knows the
// answer, once a message and once a command that it refuses.
type Meter interface {
	// Refused is for a command that was answered with an error.
	Refused(env *Envelope, err error)
	// Answered is for a message.
	Answered(t Tally)
}

// Tally is the answer to a message.
type Tally struct {
	Envelope *Envelope
	// Decided is nil where nothing was decided.
	Decided *Answer
	// Err is the answer to the whole message, nil where it was taken. Answers are
	// those of its recipients, in their order; nil at a listener with one for all.
	Err     error
	Answers []error
}

// Answer is the answer to the recipient at an index of the envelope.
func (t Tally) Answer(i int) error {
	if t.Err != nil || i >= len(t.Answers) {
		return t.Err
	}
	return t.Answers[i]
}
