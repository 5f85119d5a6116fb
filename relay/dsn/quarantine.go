package dsn

import (
	"fmt"
	"time"

	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Quarantine is a notice that an inbound message is in quarantine.
type Quarantine struct {
	// ID is unique to the notice, of letters and digits.
	ID string
	// Hostname is ours.
	Hostname string
	// From is the author, To is who is notified: a recipient, or an administrator.
	From, To address.Address
	Now      time.Time
	// Sender, Subject and MessageID are those of the message as it came, Until is when
	// it is deleted.
	Sender             address.Address
	Subject, MessageID string
	Until              time.Time
	// Recipients are those from whom it is kept, with the reason for each.
	Recipients []Kept
	// Texts are the words; nil is the built-in English.
	Texts *Texts
}

// Kept is a recipient from whom a message is kept, and why.
type Kept struct {
	Address address.Address
	Reason  string
}

// quarantined is the name of the files with the words.
const quarantined = "quarantined"

// quarantineFacts are what the templates are filled with.
type quarantineFacts struct {
	Hostname, Sender, Subject, MessageID, Until string
	Recipients                                  []recipientFacts
}

// BuildQuarantine returns the notice as a message. The caller sends it with the null
// reverse-path, so that there is no automatic answer.
func BuildQuarantine(q Quarantine) (*message.Message, error) {
	texts := q.Texts
	if texts == nil {
		var err error
		if texts, err = ReadTexts("", nil); err != nil {
			return nil, err
		}
	}
	f := quarantineFacts{
		Hostname: clean(q.Hostname), Sender: clean(q.Sender.String()), Subject: clean(q.Subject),
		MessageID: clean(q.MessageID), Until: q.Until.Format("2006-01-02 15:04 -0700"),
	}
	for _, k := range q.Recipients {
		f.Recipients = append(f.Recipients, recipientFacts{Address: clean(k.Address.String()), Reason: clean(k.Reason)})
	}
	w := texts.named[quarantined]
	subject, text, html, err := w.fill(f)
	if err != nil {
		return nil, fmt.Errorf("quarantine notice: %w", err)
	}
	m, err := notice{ID: q.ID, Hostname: q.Hostname, From: q.From, To: q.To, Now: q.Now}.message(subject, text, html)
	if err != nil {
		return nil, fmt.Errorf("quarantine notice: %w", err)
	}
	return m, nil
}
