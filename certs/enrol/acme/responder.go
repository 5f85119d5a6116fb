package acme

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/smime/address"
)

// ResponderConfig is what a Responder needs.
type ResponderConfig struct {
	Store *store.Store
	// Enrolments are those that order by ACME, by name.
	Enrolments map[string]ResponderEnrolment
	// TXT asks the DNS for texts; NoName is its error for a name that does not exist.
	TXT    func(ctx context.Context, name string) ([]string, error)
	NoName error
	// Hostname is in the Message-IDs of answers.
	Hostname string
	Clock    func() time.Time
	Log      *slog.Logger
}

// ResponderEnrolment is what a table says of the messages of its authority.
type ResponderEnrolment struct {
	// Provider made the orders.
	Provider *Provider
	// Servers are the authserv-ids of servers that verified DKIM before the gateway.
	Servers []string
	// Deliver: what is answered is delivered, too.
	Deliver bool
}

// Responder takes the messages by which authorities make sure of an address. It is safe for
// concurrent use.
type Responder struct{ ResponderConfig }

// NewResponder returns a Responder.
func NewResponder(c ResponderConfig) *Responder { return &Responder{c} }

// Verdict is what a Responder says of a message.
type Verdict struct {
	// Taken: it is a challenge of an order, and will be answered. Deliver: it is to be
	// delivered as well.
	Taken, Deliver bool
	// Reason says why something that looks like a challenge was not taken; "" for all
	// other messages.
	Reason string
}

const (
	// noteTime is how long a message waits for an order that is being made, which is looked
	// at every notePoll.
	noteTime = 5 * time.Second
	notePoll = 100 * time.Millisecond
)

// Take notes a challenge for which an order waits, that comes from its authority, and that did
// not come before. Nothing is kept of a message that is not taken. An error is temporary: it is
// not known what the message is.
func (rp *Responder) Take(ctx context.Context, m *Mail) (Verdict, error) {
	c, ok, err := readChallenge(m)
	if !ok {
		return Verdict{}, nil
	}
	if err != nil {
		return Verdict{Reason: err.Error()}, nil
	}
	o, r, err := rp.awaited(ctx, m, &c)
	if err != nil {
		if f, temporary := errors.AsType[*fault.Error](err); temporary {
			return Verdict{}, f
		}
		return Verdict{Reason: err.Error()}, nil
	}
	first, err := rp.Store.PutChallenge(ctx, &store.Challenge{
		Order: o.ID, ID: r.Challenge, Token: c.token, ReplyTo: c.replyTo, MessageID: c.messageID,
	})
	switch {
	case err != nil:
		return Verdict{}, unknown(err)
	case !first:
		return Verdict{Reason: "the same message, or too many others, came before"}, nil
	}
	return Verdict{Taken: true, Deliver: rp.Enrolments[o.Enrolment].Deliver}, nil
}

func unknown(err error) error {
	return fault.New(fault.Unavailable, "the certificate store is unavailable, try again later", err)
}

// errs of messages that are not answered.
var (
	errNoOrder = errors.New("no certificate is awaited for the recipient")
	errOther   = errors.New("the CA sends its message from another address")
	errSeveral = errors.New("several orders wait for such a message")
	errDone    = errors.New("the order waits for no message")
)

// awaited is the order that waits for a challenge. A fault is temporary.
func (rp *Responder) awaited(ctx context.Context, m *Mail, c *challenge) (*store.Order, *reference, error) {
	proven := proof{responder: rp, mail: m, from: c.from, of: map[string]error{}}
	orders, err := rp.orders(ctx, m, &proven)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, noteTime)
	defer cancel()
	tick := time.NewTicker(notePoll)
	defer tick.Stop()
	for {
		o, r, err := match(orders, c)
		if err == nil || !rp.beingMade(orders) {
			return o, r, err
		}
		select {
		case <-ctx.Done():
			return nil, nil, fault.New(fault.Unavailable, "a certificate for the recipient is being ordered, try again later", err)
		case <-tick.C:
			if orders, err = rp.orders(ctx, m, &proven); err != nil {
				return nil, nil, err
			}
		}
	}
}

// proof is what is known of the author of a message. Each table says which servers are trusted,
// so that the same message may be good for the order of one and not for that of another.
type proof struct {
	responder *Responder
	mail      *Mail
	from      address.Address
	of        map[string]error // by table
}

// authentic is Responder.authentic for a table.
func (p *proof) authentic(ctx context.Context, table string) error {
	err, known := p.of[table]
	if !known {
		err = p.responder.authentic(ctx, p.mail, p.from, p.responder.Enrolments[table].Servers)
		p.of[table] = err
	}
	return err
}

// orders are those of the recipient that may wait for a message, and whose tables make its author
// certain. With no such order the error says why, and is temporary if one may turn out to be.
func (rp *Responder) orders(ctx context.Context, m *Mail, proven *proof) ([]store.Order, error) {
	all, err := rp.Store.Orders(ctx, store.OrderQuery{Address: &m.To, States: []store.OrderState{store.OrderSent}})
	if err != nil {
		return nil, unknown(err)
	}
	var list []store.Order
	why := errNoOrder
	for _, o := range all {
		if _, ok := rp.Enrolments[o.Enrolment]; !ok {
			continue
		}
		err := proven.authentic(ctx, o.Enrolment)
		_, temporary := errors.AsType[*fault.Error](err)
		switch {
		case err == nil:
			list = append(list, o)
		case temporary || errors.Is(why, errNoOrder):
			why = err
		}
	}
	if len(list) == 0 {
		return nil, why
	}
	return list, nil
}

// beingMade reports whether a process makes one of the orders at its authority just now:
// the message may be faster than the answer that says of whom it comes.
func (rp *Responder) beingMade(orders []store.Order) bool {
	for _, o := range orders {
		r, err := readReference(o.Reference)
		if err == nil && r.Challenge == "" && rp.Clock().Before(o.ClaimedUntil) {
			return true
		}
	}
	return false
}

// match is the one order that waits for a message of its author.
func match(orders []store.Order, c *challenge) (*store.Order, *reference, error) {
	var found *store.Order
	var of *reference
	err := errDone
	for i := range orders {
		r, broken := readReference(orders[i].Reference)
		switch {
		case broken != nil || r.Challenge == "":
			continue
		case !r.sentBy(c.from):
			err = errOther
			continue
		case found != nil:
			return nil, nil, errSeveral
		}
		found, of = &orders[i], &r
	}
	if found == nil {
		return nil, nil, err
	}
	return found, of, nil
}
