package dsn

import (
	"mime"
	"time"

	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// notice is a message of the gateway that reports on no delivery.
type notice struct {
	ID, Hostname string
	From, To     address.Address
	Now          time.Time
}

// message writes the notice; html is "" where there is none.
func (n notice) message(subject, text, html string) (*message.Message, error) {
	contentType, encoding, body := written("notice-"+token(n.ID), text, html)
	fields, err := n.fields(subject)
	if err != nil {
		return nil, err
	}
	described, err := newFields([][2]string{
		{"MIME-Version", "1.0"},
		{"Content-Type", contentType},
		{"Content-Transfer-Encoding", encoding},
	})
	if err != nil {
		return nil, err
	}
	return message.Build(append(fields, described...), body)
}

// fields are those that do not describe the body.
func (n notice) fields(subject string) ([]message.Field, error) {
	return newFields([][2]string{
		{"Date", n.Now.Format(time.RFC1123Z)},
		{"From", mailbox("Mail gateway", n.From, n.Hostname)},
		{"To", headerAddress(n.To)},
		{"Subject", mime.QEncoding.Encode("utf-8", subject)},
		{"Message-ID", "<" + token(n.ID) + "@" + token(n.Hostname) + ">"},
		{"Auto-Submitted", "auto-generated"}, // RFC 3834 section 5: no message of theirs is answered
	})
}
