// Package wire holds what the adapters of the pipeline share: accepting and
// draining connections, gathering a message within its limits, and what a listener
// with a single answer does with an outcome. It knows no protocol.
package wire

import (
	"crypto/rand"
	"time"
)

// Limits bound what one listener lets its peers do. A zero field means the
// value that Defaults fills in.
type Limits struct {
	MessageSize int // octets of one message
	Recipients  int // of one message
	Connections int // at once
	PerAddress  int // connections at once from one address; 0 is no limit
	Errors      int // negative replies on one connection; 0 is no limit
	// Read is how long a peer may be silent, Write how long it may take to
	// read our answer, Message how long one message may take to arrive, and
	// Process how long the work on it may take.
	Read, Write, Message, Process time.Duration
	// Session is after what time a connection is closed once no message is under way
	// on it; 0 is no limit.
	Session time.Duration
	// Rate is how many octets a second of a message must arrive at least, on average,
	// after the first Grace; 0 is no limit.
	Rate  int
	Grace time.Duration
}

// Defaults returns l with the zero fields filled in.
func (l Limits) Defaults() Limits {
	setDefault(&l.MessageSize, 50<<20)
	setDefault(&l.Recipients, 1000)
	setDefault(&l.Connections, 200)
	// RFC 5321 section 4.5.3.2.7: at least five minutes.
	setDefault(&l.Read, 5*time.Minute)
	setDefault(&l.Write, time.Minute)
	setDefault(&l.Message, 30*time.Minute)
	// Below the 300 seconds that Postfix grants a milter for the content, and
	// the ten minutes that RFC 5321 section 4.5.3.2.6 grants a server.
	setDefault(&l.Process, 4*time.Minute)
	setDefault(&l.Grace, time.Minute)
	return l
}

func setDefault[T int | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// NewID returns a new id for a transaction, for the log and the Received field.
func NewID() string { return rand.Text()[:16] }
