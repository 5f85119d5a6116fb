package relay

import (
	"regexp"
	"strings"

	"github.com/smimerelay/smimerelay/smime/message"
)

// MaxMessageID is how much of a Message-ID is kept, with its angle brackets, in octets: a
// field with it stays within a line of RFC 5322 section 2.1.1. What is longer cannot be
// compared with another one.
const MaxMessageID = 500

// BracketedID finds what may be a msg-id (RFC 5322 section 3.6.4) in the value of a field.
var BracketedID = regexp.MustCompile(`<[^<>]*>`)

// MessageID returns the msg-id of a message as an answer repeats it, without the comments
// around it; the value of the field where that has none, and "" without a field.
func MessageID(m *message.Message) string {
	value := strings.TrimSpace(m.Get("Message-ID"))
	if id := BracketedID.FindString(value); id != "" {
		return id
	}
	return value
}
