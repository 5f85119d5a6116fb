package test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// mail is a message to send, with its envelope.
type mail struct {
	id       string // the Message-ID without brackets, one for each test
	from     string
	author   string // of the From field; "" is from
	to       []string
	visible  []string // those of the To field; none is to
	subject  string
	headers  string // further lines of the header, each with CRLF
	entity   string // Content-* fields, the empty line and the body, CRLF
	verbatim []byte // instead of all of it
}

var unfit = regexp.MustCompile(`[^A-Za-z0-9]+`)

// newMail returns a message from from to to, with a text that no other
// message has.
func newMail(t *testing.T, from string, to ...string) mail {
	id := strings.Trim(unfit.ReplaceAllString(t.Name(), "."), ".") + "@test"
	return mail{
		id: id, from: from, to: to, subject: "about " + t.Name(),
		entity: "Content-Type: text/plain; charset=us-ascii\r\n\r\n" + secret + " of " + id + "\r\n",
	}
}

// secret is in every message that must not be seen in the clear.
const secret = "a secret"

func (m mail) bytes() []byte {
	if m.verbatim != nil {
		return m.verbatim
	}
	author := m.author
	if author == "" {
		author = m.from
	}
	to := m.visible
	if len(to) == 0 {
		to = m.to
	}
	return fmt.Appendf(nil, "From: <%s>\r\nTo: %s\r\nSubject: %s\r\nMessage-ID: <%s>\r\n"+
		"Date: %s\r\nMIME-Version: 1.0\r\n%s%s",
		author, "<"+strings.Join(to, ">, <")+">", m.subject, m.id, time.Now().Format(time.RFC1123Z), m.headers, m.entity)
}
