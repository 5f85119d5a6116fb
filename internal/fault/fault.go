// Package fault is the closed list of ways in which handling a message can
// fail. An error has the text that the peer may see and keeps the private cause
// apart from it; the wire code is made in one place, relay.ReplyFor, from the
// kind and its detail.
package fault

import (
	"errors"
	"fmt"
)

// Kind says what sort of failure an Error is, and with it whether the peer
// should try again.
type Kind int

const (
	// Internal is a defect or a condition of this machine that no one
	// foresaw. Temporary: 451 4.3.0.
	Internal Kind = iota
	// Unavailable means that something we must ask, a directory or a
	// revocation service, did not answer. Temporary: 451 4.4.3.
	Unavailable
	// Capacity means that the queue is full, the disk is low or too much is
	// being processed at once. Temporary: 452 4.3.1.
	Capacity
	// Identity means that a signature is required and no identity of the
	// sender can make it, or that a key that could decrypt cannot be
	// reached. Temporary: 451 4.7.0.
	Identity
	// NextHop means that the next hop could not be reached or deferred the
	// message. Temporary: 451 4.4.1.
	NextHop
	// Held means that a rule keeps the message back until something turns up,
	// such as a certificate. Temporary: 451 4.7.1.
	Held
	// Policy means that a rule forbids what was asked. Permanent: 550 5.7.1.
	Policy
	// Malformed means that the message is not well-formed MIME or CMS.
	// Permanent: 550 5.6.0.
	Malformed
	// TooLarge means that the message exceeds the configured size.
	// Permanent: 552 5.3.4.
	TooLarge
	// BadAddress means that an address cannot be represented. Permanent:
	// 553 5.1.3.
	BadAddress
	// Refused means that the next hop refused the message for good.
	// Permanent: 550 5.0.0, or the next hop's own reply where there is one.
	Refused
)

var kindNames = [...]string{
	Internal: "internal", Unavailable: "unavailable", Capacity: "capacity",
	Identity: "identity", NextHop: "next-hop", Held: "held", Policy: "policy",
	Malformed: "malformed", TooLarge: "too-large", BadAddress: "bad-address",
	Refused: "refused",
}

// String returns the word that logs and metrics use for k.
func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return "internal"
	}
	return kindNames[k]
}

// Error returns the word of String: a kind is an error, so that errors.Is finds out
// whether an Error is of it.
func (k Kind) Error() string { return k.String() }

// Temporary reports whether the peer should try again later.
func (k Kind) Temporary() bool {
	switch k {
	case Policy, Malformed, TooLarge, BadAddress, Refused:
		return false
	}
	return true
}

// Error is a failure with a public text and a private cause.
type Error struct {
	// Kind decides what becomes of the message, and the wire code.
	Kind Kind
	// Detail makes the code more precise than the kind does.
	Detail Detail
	// Public is what the peer may read: one line, no secrets, no file names.
	Public string
	// Reply is the next hop's own reply, verbatim, for NextHop and Refused;
	// the zero value means that there is none.
	Reply Reply
	// Host is whose Reply it is; "" if it is ours.
	Host string
	// Cause is for the log only. It may be nil.
	Cause error
	// Logged says that the log has the failure: it is to stand there once.
	Logged bool
}

// Reply is an SMTP reply as received from a server (RFC 5321 section 4.2,
// RFC 3463).
type Reply struct {
	Code     int
	Enhanced [3]int
	Text     string
	// Plain says that the server gave no enhanced code: Enhanced is the general one of the
	// class then.
	Plain bool
}

// String is the reply on one line, as the server gave it.
func (r Reply) String() string {
	if r.Plain {
		return fmt.Sprintf("%d %s", r.Code, r.Text)
	}
	return fmt.Sprintf("%d %d.%d.%d %s", r.Code, r.Enhanced[0], r.Enhanced[1], r.Enhanced[2], r.Text)
}

// New returns an error of kind k that tells the peer public and the log cause.
func New(k Kind, public string, cause error) *Error {
	return &Error{Kind: k, Public: public, Cause: cause}
}

// Error returns the public text and the cause, for the log.
func (e *Error) Error() string {
	if e.Cause == nil {
		return e.Public
	}
	return e.Public + ": " + e.Cause.Error()
}

// Is reports whether target is the kind of e, for errors.Is.
func (e *Error) Is(target error) bool { return target == e.Kind }

// Unwrap returns the private cause.
func (e *Error) Unwrap() error { return e.Cause }

// Logged marks err as logged, if it is an Error, and returns it.
func Logged(err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		e.Logged = true
	}
	return err
}

// Of returns the Error in err's chain, or one of kind Internal around err: what
// was not classified is temporary, so that no message is lost by it.
func Of(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return New(Internal, "internal error, try again later", err)
}
