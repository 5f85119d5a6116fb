package smtpd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/internal/wire"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Data receives a message over SMTP: it is in the queue when this returns nil.
func (s *session) Data(r io.Reader) error {
	var env *relay.Envelope
	err := s.message(r, func(tx *transaction, m *message.Message) error {
		env = tx.env
		return s.relay(env, m)
	})
	if err != nil {
		return err
	}
	return accepted(env)
}

// LMTPData receives a message over LMTP and answers for every recipient.
func (s *session) LMTPData(r io.Reader, status smtp.StatusCollector) error {
	wire.GrowStack() // the library has a goroutine for each message
	return s.message(r, func(tx *transaction, m *message.Message) error {
		answers, err := s.deliver(tx.env, m)
		if err != nil {
			return err
		}
		s.link.hasLogged() // by deliver, or by the handler
		tx.answers = answers
		byKey := make(map[string]error, len(answers))
		for i, r := range tx.env.Recipients {
			byKey[relay.Key(r.Address)] = answers[i]
		}
		for _, g := range tx.given {
			if err := byKey[g.key]; err != nil {
				status.SetStatus(g.text, s.refuse(tx.env, err))
			} else {
				status.SetStatus(g.text, accepted(tx.env))
			}
		}
		return nil
	})
}

// message reads a message and hands it to f; the error is a reply.
func (s *session) message(r io.Reader, f func(*transaction, *message.Message) error) error {
	if !s.client.work.TryRLock() {
		return s.refuse(nil, fault.New(fault.Internal, "the connection is closed", nil))
	}
	defer s.client.work.RUnlock()
	tx := s.current()
	if tx == nil || len(tx.given) == 0 {
		return s.refuse(nil, outOfOrder("no recipients"))
	}
	if !s.link.open() {
		return s.refuse(nil, fault.New(fault.Internal, "the connection is closed", nil))
	}
	s.link.begin(time.Now().Add(s.config().Limits.Message))
	field := s.received(tx.env)
	in := wire.NewCollector(s.config().Limits.MessageSize+len(field), s.config().Memory)
	defer func() {
		tx.decided = nil // its copies are to be given back, too
		in.Release()
	}()
	tx.in = in
	return s.guard(theMessage, tx.env, func() error {
		_, _ = io.WriteString(in, field) // a Collector's writes do not fail
		m, err := s.receive(in, r)
		if err != nil {
			return err
		}
		tx.env.MessageID = wire.MessageID(m)
		if tx.env.QueueID == "" && s.config().LMTP {
			tx.env.QueueID = wire.QueueID(m)
		}
		return f(tx, m)
	})
}

// receive reads a message to its end and judges it as SMTP does.
func (s *session) receive(in *wire.Collector, r io.Reader) (*message.Message, error) {
	err := s.read(in, r)
	if errors.Is(err, smtp.ErrDataTooLarge) {
		// It is still arriving: the library reads to its end, and the limits hold for that.
		return nil, fault.New(fault.TooLarge, "message too large", err)
	}
	complete, exact := s.link.arrived()
	switch {
	case errors.Is(err, smtp.ErrDataReset):
		s.link.abandon() // by RSET between two BDAT, which may be over by now
		return nil, givenUp("message aborted", err)
	case err != nil:
		return nil, givenUp("message not received", err)
	case !complete:
		// The library takes a truncated BDAT for a whole one.
		return nil, givenUp("message not received", io.ErrUnexpectedEOF)
	case in.Err() != nil:
		return nil, in.Err()
	}
	if !bytes.HasSuffix(in.Bytes(), []byte("\n")) {
		// BDAT lets a client leave out the last line end.
		_, _ = io.WriteString(in, "\r\n")
	}
	if !exact || bareLineEnd(in.Bytes()) {
		return nil, bareLineEnds()
	}
	m, err := message.Parse(in.Bytes())
	if err != nil {
		return nil, fault.New(fault.Malformed, "message header cannot be parsed", err)
	}
	return m, wire.CheckLoop(m)
}

// read reads a message: that of DATA from the link, and the chunks of BDAT from the library.
func (s *session) read(in *wire.Collector, r io.Reader) error {
	if s.link.inData() {
		return s.link.receive(in)
	}
	_, err := in.ReadFrom(r)
	return err
}

// errGivenUp is in the error of a message that its client did not send to the end: what
// clients do is no fault of this side, and is not counted as one.
var errGivenUp = errors.New("given up by the client, or too slow")

func givenUp(text string, cause error) error {
	return fault.New(fault.Internal, text, fmt.Errorf("%w: %w", errGivenUp, cause))
}

// bareLineEnds is the refusal of a message whose line ends are not all CRLF. To
// put them right would change octets that may have been signed.
func bareLineEnds() error {
	return fault.Narrow(fault.Malformed, fault.BareLineEnd, "bare CR or LF in the message", nil)
}

// relay puts everything that becomes of a message into the queue at once.
func (s *session) relay(env *relay.Envelope, m *message.Message) error {
	ctx, cancel := s.work()
	defer cancel()
	a, err := s.config().Handler.Process(ctx, env, m, relay.Capabilities{})
	s.decided(a)
	if err != nil {
		return err
	}
	if err := wire.Store(ctx, s.config().Queue, a.Store); err != nil {
		return err
	}
	s.log(env).Info("message accepted", "recipients", len(env.Recipients), "copies", len(a.Store.Copies), "notices", len(a.Store.Notices))
	return nil
}

// deliver does what is decided on a message and returns an answer for each recipient
// of the envelope, in order. Nil is delivered, or stored.
func (s *session) deliver(env *relay.Envelope, m *message.Message) ([]error, error) {
	ctx, cancel := s.work()
	defer cancel()
	a, err := s.config().Handler.Process(ctx, env, m, relay.Capabilities{EachRecipient: true})
	s.decided(a)
	if err != nil {
		return nil, err
	}
	if len(a.Recipients) != len(env.Recipients) {
		return nil, fault.Of(fmt.Errorf("%d answers for %d recipients", len(a.Recipients), len(env.Recipients)))
	}
	stored := s.store(ctx, env, a.Store)
	if stored != nil && a.StoreFirst {
		return nil, stored
	}
	notified := stored
	if notified == nil {
		notified = s.notify(env, a.Notices)
	}
	results := make(map[string]error)
	for n, errs := range s.handOverAll(s.client.ctx, a.Deliver) {
		d := a.Deliver[n]
		for i, err := range errs {
			results[relay.Key(d.Recipients[i].Address)] = d.Tell(err)
			s.logFailure(env, d.Recipients[i], err)
		}
	}
	answers := make([]error, len(env.Recipients))
	for i, f := range a.Recipients {
		key := relay.Key(env.Recipients[i].Address)
		switch f.Kind {
		case relay.Queued, relay.Held, relay.Quarantined:
			answers[i] = stored
		case relay.Stripped, relay.Returned:
			answers[i] = notified
		case relay.Delivered:
			var asked bool
			if answers[i], asked = results[key]; !asked {
				answers[i] = s.refused(env, env.Recipients[i], fault.Of(fmt.Errorf("recipient %q: not in a copy", key)))
			}
		default:
			answers[i] = s.refused(env, env.Recipients[i], cause(f.Err))
		}
	}
	return answers, nil
}

// refused returns the refusal of a recipient, which is in the log by then: that of a
// group is made of those of its members, which are there by themselves.
func (s *session) refused(env *relay.Envelope, r relay.Recipient, err error) error {
	if !fault.Of(err).Logged {
		s.logFailure(env, r, err)
	}
	return err
}

// cause is a refusal's error; a refusal must have one.
func cause(err error) error {
	if err == nil {
		return fault.Of(errors.New("rejected without an error"))
	}
	return err
}

// store stores what is not delivered at once. LMTP's answers are for recipients, and
// do not have the reason for our log.
func (s *session) store(ctx context.Context, env *relay.Envelope, b relay.Batch) error {
	err := wire.Store(ctx, s.config().Queue, b)
	if err != nil {
		s.log(env).Error("not stored", "error", err)
	}
	return err
}

// notify hands notices to the next hop.
func (s *session) notify(env *relay.Envelope, notices []relay.Delivery) error {
	for _, d := range notices {
		for _, err := range s.handOver(s.client.ctx, d) {
			if err != nil {
				s.log(env).Error("notice not delivered", "error", err)
				return fault.New(fault.NextHop, "notice to the sender not delivered", err)
			}
		}
	}
	return nil
}

// logFailure writes why a recipient was not delivered at the next hop: the MTA in
// front hears no more than the reply. Success is logged by the deliverer, which
// knows the next hop's answer.
func (s *session) logFailure(env *relay.Envelope, r relay.Recipient, err error) {
	if err == nil {
		return
	}
	reply := wire.Reply(err)
	s.log(env).Warn("not delivered", "recipient", r.Address.String(), "code", reply.Code, "kind", fault.Of(err).Kind.String(), "error", err, "next_hop", fault.Of(err).Host)
}
