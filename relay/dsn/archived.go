package dsn

import (
	"fmt"
	"time"

	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Archived is a message as it came, for an archive that is a mailbox.
type Archived struct {
	ID, Hostname string
	From, To     address.Address
	Now          time.Time
	// Received is what the log calls the message.
	Received string
	Original *message.Message
}

// BuildArchived returns a message of our own with the original in it: what a stranger wrote
// in its header is then not taken for ours.
func BuildArchived(a Archived) (*message.Message, error) {
	n := notice{ID: a.ID, Hostname: a.Hostname, From: a.From, To: a.To, Now: a.Now}
	fields, err := n.fields("Message as received: " + clean(a.Received))
	if err != nil {
		return nil, fmt.Errorf("archived message: %w", err)
	}
	described := []message.Field{message.RawField("Content-Type", "message/rfc822")}
	if !message.ScanLines(a.Original.Bytes()).ASCII {
		described = append(described, message.RawField("Content-Transfer-Encoding", "8bit"))
	}
	m, err := a.Original.Apply(message.Change{
		Remove: func(message.Field) bool { return true }, Append: fields,
		Entity: &message.Entity{Fields: described, Received: true, Body: []message.Piece{message.Text(message.Canonical(a.Original.Bytes()))}},
	})
	if err != nil {
		return nil, fmt.Errorf("archived message: %w", err)
	}
	return m, nil
}
