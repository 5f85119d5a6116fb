package milter

import (
	"fmt"
	"slices"
	"strings"

	"github.com/emersion/go-milter"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
)

// resend are the actions that give a message another envelope.
const resend = milter.OptChangeFrom | milter.OptAddRcptWithArgs

// editable reports whether the MTA's own message can become a delivery: under the
// same envelope, but for recipients that drop out, or, where the MTA lets us change
// it, under another sender and other wishes about reports.
func (s *session) editable(d relay.Delivery) bool {
	if d.Secret != nil && s.actions&resend == resend {
		given := s.tx.env.Params
		given.Return = d.Params.Return
		return d.Params == given
	}
	return d.Secret == nil && relay.Key(d.Sender) == relay.Key(s.tx.env.Sender) && d.Params == s.tx.env.Params
}

// envelope returns the edits that give the MTA's message the envelope of d.
func (s *session) envelope(d relay.Delivery) ([]packet, error) {
	drop, err := s.tx.dropped(d)
	if err != nil {
		return nil, err
	}
	var edits []packet
	if d.Secret != nil {
		edits = append(edits, changeSender(d))
	}
	for _, text := range drop {
		edits = append(edits, deleteRecipient(text))
	}
	if d.Secret == nil {
		return edits, nil
	}
	for _, r := range d.Recipients {
		edits = append(edits, s.tx.renotify(r)...)
	}
	return edits, nil
}

// changeSender gives the message another sender, and RET with it: without the
// argument Postfix keeps the client's.
func changeSender(d relay.Delivery) packet {
	return packet{code: byte(milter.ActChangeFrom), data: []byte("<" + d.Sender.String() + ">\x00RET=" + d.Params.Return + "\x00")}
}

func deleteRecipient(text string) packet {
	return packet{code: delRecipient, data: []byte("<" + text + ">\x00")}
}

// renotify replaces a recipient by itself with another NOTIFY, if it has: the
// protocol cannot change one.
func (tx *transaction) renotify(r relay.Recipient) []packet {
	var edits []packet
	same := false
	for _, e := range tx.env.Recipients {
		if relay.Key(e.Address) == relay.Key(r.Address) {
			same = slices.Equal(e.Notify, r.Notify)
		}
	}
	if same {
		return nil
	}
	spelled := ""
	for _, g := range tx.given {
		if g.key == relay.Key(r.Address) {
			edits = append(edits, deleteRecipient(g.text))
			spelled = g.text
		}
	}
	args := "NOTIFY=" + strings.Join(r.Notify, ",")
	return append(edits, packet{code: addRecipient, data: []byte("<" + spelled + ">\x00" + args + "\x00")})
}

// dropped returns the recipients that do not get d, every spelling as the MTA
// gave it. A recipient that the MTA keeps by mistake would get a message that
// is not for it: so those that stay are counted.
func (tx *transaction) dropped(d relay.Delivery) ([]string, error) {
	keep := make(map[string]bool, len(d.Recipients))
	for _, r := range d.Recipients {
		keep[relay.Key(r.Address)] = true
	}
	var drop []string
	stay := map[string]bool{}
	for _, g := range tx.given {
		if keep[g.key] {
			stay[g.key] = true
		} else {
			drop = append(drop, g.text)
		}
	}
	if len(stay) != len(keep) || len(stay) == 0 {
		return nil, fault.Of(fmt.Errorf("%d recipients would remain instead of %d", len(stay), len(keep)))
	}
	return drop, nil
}
