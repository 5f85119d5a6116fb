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
	ReplyTo      address.Address // the null address is none
	Now          time.Time
	// Replies says that the notice answers a message, InReplyTo which, if that has a name.
	Replies   bool
	InReplyTo string
	// Certificates are files that are attached, in DER.
	Certificates [][]byte
}

// message writes the notice; html is "" where there is none.
func (n notice) message(subject, text, html string) (*message.Message, error) {
	contentType, encoding, body := written("notice-"+token(n.ID), text, html)
	if len(n.Certificates) > 0 {
		contentType, encoding, body = withCertificates("notice-"+token(n.ID), contentType, encoding, body, n.Certificates)
	}
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
	auto := "auto-generated" // RFC 3834 section 5: no message of theirs is answered
	if n.Replies {
		auto = "auto-replied"
	}
	all := [][2]string{
		{"Date", n.Now.Format(time.RFC1123Z)},
		{"From", mailbox("Mail gateway", n.From, n.Hostname)},
		{"To", headerAddress(n.To)},
		{"Subject", mime.QEncoding.Encode("utf-8", subject)},
		{"Message-ID", n.messageID()},
		{"Auto-Submitted", auto},
	}
	if n.InReplyTo != "" {
		all = append(all, [2]string{"In-Reply-To", n.InReplyTo}, [2]string{"References", n.InReplyTo})
	}
	if !n.ReplyTo.IsNull() {
		all = append(all, [2]string{"Reply-To", headerAddress(n.ReplyTo)})
	}
	return newFields(all)
}

func (n notice) messageID() string { return "<" + token(n.ID) + "@" + token(n.Hostname) + ">" }
