package milter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/emersion/go-milter"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/internal/wire"
	"github.com/smimerelay/smimerelay/smime/message"
)

// verdict is what the MTA is told at the end of a message.
type verdict struct {
	edits []packet
	final milter.Response
	taken relay.Taken
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
	ctx, cancel := context.WithTimeout(relay.WithMemory(s.conn.ctx, tx.in.Reserve), s.config.Limits.Process)
	defer cancel()
	o, err := s.config.Handler.Process(ctx, tx.env, msg)
	tx.outcome = o
	if err != nil {
		return verdict{}, err
	}
	extra, err := wire.Settle(s.config.Handler, tx.env, msg, o)
	if err != nil {
		return verdict{}, err
	}
	if s.inPlace(o) {
		return s.edit(ctx, msg, o.Deliveries[0], extra)
	}
	copies, err := s.traced(o.Deliveries)
	if err != nil {
		return verdict{}, err
	}
	if err := s.traceHeld(o); err != nil {
		return verdict{}, err
	}
	if err := wire.Store(ctx, s.config.Queue, tx.env, o, append(copies, extra...)...); err != nil {
		return verdict{}, err
	}
	s.txLog().Info("message queued in several forms", "recipients", len(tx.env.Recipients), "copies", len(o.Deliveries))
	return verdict{final: milter.RespDiscard, taken: relay.Queued}, nil
}

// traced puts our trace field on copies that we take from the MTA: they leave
// without the field that it would have put there.
func (s *session) traced(ds []relay.Delivery) ([]relay.Delivery, error) {
	var out []relay.Delivery
	for _, d := range ds {
		m, err := s.trace(d.Message)
		if err != nil {
			return nil, err
		}
		d.Message = m
		out = append(out, d)
	}
	return out, nil
}

// traceHeld is traced for a message that is kept.
func (s *session) traceHeld(o *relay.Outcome) (err error) {
	if o.Held != nil {
		o.Held.Message, err = s.trace(o.Held.Message)
	}
	return err
}

func (s *session) trace(m *message.Message) (*message.Message, error) {
	env := s.tx.env
	field := wire.Received(env, s.host(), wire.Protocol(env, "ESMTP"), cmp.Or(env.QueueID, env.ID), s.config.Clock())
	return message.Parse(append([]byte(field), m.Bytes()...))
}

// message returns the message exactly as the MTA would send it. Our idea of the
// header must be the MTA's, or an edit would hit the wrong field.
func (tx *transaction) message() (*message.Message, error) {
	if err := tx.in.Err(); err != nil {
		return nil, err
	}
	m, err := message.Parse(tx.in.Bytes())
	if err != nil {
		return nil, fault.New(fault.Malformed, "message header not understood", err)
	}
	if len(m.Fields()) != len(tx.names) {
		return nil, fault.New(fault.Malformed, "message header not understood",
			fmt.Errorf("%d fields where the MTA sees %d", len(m.Fields()), len(tx.names)))
	}
	for i, f := range m.Fields() {
		if !strings.EqualFold(f.Name, tx.names[i]) {
			return nil, fault.New(fault.Malformed, "message header not understood",
				fmt.Errorf("field %d is %q where the MTA sees %q", i, f.Name, tx.names[i]))
		}
	}
	return m, wire.CheckLoop(m)
}

// edit makes the MTA's message the delivery d.
func (s *session) edit(ctx context.Context, old *message.Message, d relay.Delivery, extra []relay.Delivery) (verdict, error) {
	envelope, err := s.envelope(d)
	if err != nil {
		return verdict{}, err
	}
	edits, err := diff(old, d.Message, s.exact)
	if err != nil {
		return verdict{}, err
	}
	edits = append(edits, envelope...)
	if len(extra) > 0 {
		if err := s.config.Queue.Put(ctx, s.tx.env.Named(extra...)...); err != nil {
			return verdict{}, err
		}
	}
	if err := ctx.Err(); err != nil {
		return verdict{}, fault.New(fault.Unavailable, "took too long, try again later", err)
	}
	s.txLog().Info("message edited", "recipients", len(d.Recipients), "edits", len(edits))
	return verdict{edits: edits, final: milter.RespAccept, taken: relay.Edited}, nil
}
