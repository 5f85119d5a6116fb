package milter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/internal/wire"
	"github.com/smimerelay/smimerelay/smime/message"
)

// verdict is the answer to the MTA at the end of a message.
type verdict struct {
	edits []packet
	final packet
}

// decide has the message worked on. Whatever must be on disk before the answer
// is there when it returns; an error is the answer.
func (s *session) decide() (verdict, error) {
	tx := s.tx
	if len(tx.env.Recipients) == 0 {
		// Cannot happen in SMTP; "accept" would be the wrong guess.
		return verdict{}, fault.Of(errors.New("message without recipients"))
	}
	msg, err := tx.message()
	if err != nil {
		return verdict{}, err
	}
	tx.env.MessageID = wire.MessageID(msg)
	ctx, cancel := context.WithTimeout(relay.WithMemory(s.conn.ctx, tx.in.Reserver()), s.config.Limits.Process)
	defer cancel()
	a, err := s.config.Handler.Process(ctx, tx.env, msg, relay.Capabilities{Edit: s.editable})
	tx.decided = a
	if err != nil {
		return verdict{}, err
	}
	if a.Edit != nil {
		return s.edit(ctx, msg, *a.Edit, a.Store)
	}
	if err := s.traced(&a.Store); err != nil {
		return verdict{}, err
	}
	if err := s.store(ctx, a.Store); err != nil {
		return verdict{}, err
	}
	s.txLog().Info("message queued as several copies", "recipients", len(tx.env.Recipients), "copies", len(a.Store.Copies))
	return verdict{final: discard}, nil
}

// store puts what the answer says into the queue. It is the last that may fail: what is stored
// is delivered, and the client would send the message again. So nothing is stored for an MTA
// that has not waited (milter_content_timeout of Postfix), which has deferred the message.
func (s *session) store(ctx context.Context, b relay.Batch) error {
	if err := ctx.Err(); err != nil {
		return fault.New(fault.Unavailable, "processing took too long, try again later", err)
	}
	if !b.Empty() && wire.Left(s.conn.Conn) {
		return fault.New(fault.Unavailable, "processing took too long, try again later", errors.New("the MTA has closed the connection"))
	}
	return wire.Store(ctx, s.config.Queue, b)
}

// traced puts our trace field on the message, in its copies and where it is kept, that
// we take from the MTA: it leaves without the field that the MTA would have put there.
func (s *session) traced(b *relay.Batch) (err error) {
	for i := range b.Copies {
		if b.Copies[i].Message, err = s.trace(b.Copies[i].Message); err != nil {
			return err
		}
	}
	for _, h := range b.Holds() {
		if h.Message, err = s.trace(h.Message); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) trace(m *message.Message) (*message.Message, error) {
	env := s.tx.env
	field := wire.Received(env, s.host(), wire.Protocol(env, "ESMTP", env.Client.User != ""), cmp.Or(env.QueueID, env.ID), s.config.Clock())
	return m.Apply(message.Change{Prepend: []message.Field{{Name: "Received", Raw: []byte(field)}}})
}

// message returns the message exactly as the MTA would send it. Our idea of the
// header must be the MTA's, or an edit would hit the wrong field.
func (tx *transaction) message() (*message.Message, error) {
	if err := tx.in.Err(); err != nil {
		return nil, err
	}
	whole := tx.in.Bytes()
	m, err := message.Parse(whole)
	if err != nil {
		return nil, fault.New(fault.Malformed, "message header cannot be parsed", err)
	}
	if len(m.Fields()) != len(tx.names) {
		return nil, fault.New(fault.Malformed, "message header cannot be parsed",
			fmt.Errorf("%d fields where the MTA sees %d", len(m.Fields()), len(tx.names)))
	}
	for i, f := range m.Fields() {
		if seen := whole[tx.names[i].from:tx.names[i].to]; !strings.EqualFold(f.Name, string(seen)) {
			return nil, fault.New(fault.Malformed, "message header cannot be parsed",
				fmt.Errorf("field %d is %q where the MTA sees %q", i, f.Name, seen))
		}
	}
	return m, wire.CheckLoop(m)
}

// edit makes the MTA's message the delivery d.
func (s *session) edit(ctx context.Context, old *message.Message, d relay.Delivery, store relay.Batch) (verdict, error) {
	envelope, err := s.envelope(d)
	if err != nil {
		return verdict{}, err
	}
	edits, err := diff(old, d.Message, s.exact)
	if err != nil {
		return verdict{}, err
	}
	edits = append(edits, envelope...)
	if err := s.store(ctx, store); err != nil {
		return verdict{}, err
	}
	s.txLog().Info("message edited", "recipients", len(d.Recipients), "edits", len(edits))
	return verdict{edits: edits, final: accept}, nil
}
