package relay

// Meter counts what clients are answered. A door calls it when it knows the
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
	// Outcome is nil where none was decided.
	Outcome *Outcome
	// Err is the answer to the whole message, nil where it was taken. Answers are
	// those of its recipients, in their order; nil at a door with one for all.
	Err     error
	Answers []error
	// Taken is who has the message for a recipient that was accepted and is neither
	// stripped nor held.
	Taken Taken
}

// Taken is who has a message that was accepted.
type Taken string

const (
	Delivered Taken = "delivered" // the next hop
	Queued    Taken = "queued"    // our queue
	Edited    Taken = "edited"    // the MTA whose milter we are
)

// Answer is the answer to the recipient at an index of the envelope.
func (t Tally) Answer(i int) error {
	if t.Err != nil || i >= len(t.Answers) {
		return t.Err
	}
	return t.Answers[i]
}
