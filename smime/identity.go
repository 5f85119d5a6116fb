package smime

import (
	"errors"

	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

var (
	errNoFrom     = errors.New("there is not exactly one From field with a mailbox")
	errManyFrom   = errors.New("the field From names several mailboxes and Sender not exactly one of them")
	errManySender = errors.New("there is more than one Sender field")
)

// author returns the mailbox that a signer's certificate must name (RFC 8550
// section 3): the one of From, however often it is there, or the one of Sender where
// From has several.
func author(m *message.Message) (address.Address, error) {
	if len(m.All("From")) != 1 {
		return address.Null, errNoFrom
	}
	from, err := m.Addresses("From")
	if err != nil {
		return address.Null, err
	}
	if len(from) == 0 {
		return address.Null, errNoFrom
	}
	for _, a := range from[1:] {
		if !a.Equal(from[0], address.ExactCase) {
			return sender(m, from)
		}
	}
	return from[0], nil
}

// sender returns the mailbox of Sender, which must be one of from: a reader
// shows From, and a stranger may write any Sender.
func sender(m *message.Message, from []address.Address) (address.Address, error) {
	if len(m.All("Sender")) > 1 {
		return address.Null, errManySender
	}
	list, err := m.Addresses("Sender")
	if err != nil {
		return address.Null, err
	}
	if len(list) == 1 {
		for _, a := range from {
			if a.Equal(list[0], address.IgnoreCase) {
				return a, nil
			}
		}
	}
	return address.Null, errManyFrom
}
