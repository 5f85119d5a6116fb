package smtpd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
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
	return s.message(r, func(tx *transaction, m *message.Message) error {
		results, err := s.deliver(tx.env, m)
		if err != nil {
			return err
		}
		s.link.hasLogged() // by deliver, or by the handler
		tx.answers = wire.Answers(tx.env, results)
		for _, g := range tx.given {
			if err := results[g.key]; err != nil {
				status.SetStatus(g.text, refuse(tx.env, err))
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
		return refuse(nil, fault.New(fault.Internal, "the connection is closed", nil))
	}
	defer s.client.work.RUnlock()
	tx := s.current()
	if tx == nil || len(tx.given) == 0 {
		return refuse(nil, outOfOrder("no recipients"))
	}
	if !s.link.open() {
		return refuse(nil, fault.New(fault.Internal, "the connection is closed", nil))
	}
	s.link.begin(time.Now().Add(s.config().Limits.Message))
	field := s.received(tx.env)
	in := wire.NewCollector(s.config().Limits.MessageSize+len(field), s.config().Memory)
	defer in.Release()
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
	_, err := io.Copy(in, r)
	complete, exact := s.link.arrived()
	switch {
	case errors.Is(err, smtp.ErrDataTooLarge):
		return nil, fault.New(fault.TooLarge, "message too large", err)
	case errors.Is(err, smtp.ErrDataReset):
		s.link.abandon() // by RSET between two BDAT, which may be over by now
		return nil, fault.New(fault.Internal, "message given up", err)
	case err != nil:
		return nil, fault.New(fault.Internal, "message not received", err)
	case !complete:
		// The library takes a truncated BDAT for a whole one.
		return nil, fault.New(fault.Internal, "message not received", io.ErrUnexpectedEOF)
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
		return nil, fault.New(fault.Malformed, "message header not understood", err)
	}
	return m, wire.CheckLoop(m)
}

// bareLineEnds is the refusal of a message whose line ends are not all CRLF. To
// put them right would change octets that somebody may have signed.
func bareLineEnds() error {
	const text = "bare CR or LF in the message"
	return &fault.Error{
		Kind: fault.Malformed, Public: text,
		Reply: fault.Reply{Code: 554, Enhanced: [3]int{5, 5, 2}, Text: text},
	}
}

// relay puts everything that becomes of a message into the queue at once.
func (s *session) relay(env *relay.Envelope, m *message.Message) error {
	ctx, cancel := s.work()
	defer cancel()
	o, err := s.config().Handler.Process(ctx, env, m)
	s.decided(o)
	if err != nil {
		return err
	}
	extra, err := wire.Settle(s.config().Handler, env, m, o)
	if err != nil {
		return err
	}
	all := append(o.Deliveries[:len(o.Deliveries):len(o.Deliveries)], extra...)
	if err := wire.Store(ctx, s.config().Queue, env, o, all...); err != nil {
		return err
	}
	s.log(env).Info("message accepted", "recipients", len(env.Recipients), "copies", len(o.Deliveries), "notices", len(extra))
	return nil
}

// deliver hands everything on at once and returns a result for every recipient,
// by key. Nil is delivered, or held: then message and notice are in the queue.
func (s *session) deliver(env *relay.Envelope, m *message.Message) (map[string]error, error) {
	ctx, cancel := s.work()
	defer cancel()
	o, err := s.config().Handler.Process(ctx, env, m)
	s.decided(o)
	if err != nil {
		return nil, err
	}
	if err := wire.Check(env, o); err != nil {
		return nil, err
	}
	results := make(map[string]error, len(env.Recipients))
	for _, r := range o.Refused {
		results[wire.Key(r.Recipient.Address)] = cause(r.Err)
	}
	now := o.Deliveries
	switch {
	case len(o.Expanded) > 0:
		var j wire.Joint
		if j, err = wire.Join(s.config().Handler, env, m, o); err != nil {
			return nil, err
		}
		now, err = j.Now, s.store(ctx, env, o, j, results)
	case o.Held != nil:
		err = s.put(ctx, env, o, o.Notices)
		heldAnswer(o, err, results)
	default:
		err = s.notify(env, o)
	}
	for _, a := range slices.Concat(o.Stripped, o.Returned) {
		results[wire.Key(a)] = err
	}
	for _, d := range now {
		errs, relayed := s.handOver(s.client.ctx, env, d)
		for i, err := range errs {
			results[wire.Key(d.Recipients[i].Address)] = d.Answer(err)
			s.logFailure(env, d.Recipients[i], err)
		}
		s.reportRelayed(env, d, errs, relayed)
	}
	return results, nil
}

// store puts what belongs to groups into the queue, and answers for them and for
// those who are held.
func (s *session) store(ctx context.Context, env *relay.Envelope, o *relay.Outcome, j wire.Joint, results map[string]error) error {
	var err error
	if len(j.Store) > 0 || o.Held != nil {
		err = s.put(ctx, env, o, j.Store)
	}
	heldAnswer(o, err, results)
	for key := range j.Stored {
		results[key] = err
	}
	for key, refusal := range j.Refused {
		results[key] = cause(refusal)
	}
	return err
}

// put stores what is not delivered at once. LMTP's answers are for recipients,
// and do not tell the reason to our log.
func (s *session) put(ctx context.Context, env *relay.Envelope, o *relay.Outcome, ds []relay.Delivery) error {
	err := wire.Store(ctx, s.config().Queue, env, o, ds...)
	if err != nil {
		s.log(env).Error("not stored", "error", err)
	}
	return err
}

// heldAnswer answers for those who are held: they are as well as accepted once
// they are stored.
func heldAnswer(o *relay.Outcome, err error, results map[string]error) {
	if o.Held == nil {
		return
	}
	for _, r := range o.Held.Envelope.Recipients {
		results[wire.Key(r.Address)] = err
	}
}

// cause is a refusal's error; a refusal must have one.
func cause(err error) error {
	if err == nil {
		return fault.Of(errors.New("refused without an error"))
	}
	return err
}

// notify hands the notices to the next hop. Its error is the answer for the
// stripped recipients: without a word to the sender they would be lost.
func (s *session) notify(env *relay.Envelope, o *relay.Outcome) error {
	if len(o.Notices) == 0 && len(o.Stripped) > 0 {
		return fault.New(fault.Policy, "the recipient may not get this message", nil)
	}
	for _, d := range o.Notices {
		errs, _ := s.handOver(s.client.ctx, env, d)
		for _, err := range errs {
			if err != nil {
				s.log(env).Error("notice not delivered", "error", err)
				return fault.New(fault.NextHop, "notice to the sender not delivered", err)
			}
		}
	}
	return nil
}

// handOver delivers d and makes sure that there is one answer a recipient.
func (s *session) handOver(ctx context.Context, env *relay.Envelope, d relay.Delivery) ([]error, []bool) {
	d.Origin = env.Origin()
	errs, relayed := s.config().Deliverer.Deliver(ctx, d)
	if len(errs) == len(d.Recipients) && (relayed == nil || len(relayed) == len(errs)) {
		return errs, relayed
	}
	all := make([]error, len(d.Recipients))
	for i := range all {
		all[i] = fault.Of(fmt.Errorf("%d results for %d recipients", len(errs), len(d.Recipients)))
	}
	return all, nil
}

// reportRelayed tells the sender, where NOTIFY asks for it, that the next hop took
// the message and will report no success: the client heard that we would (RFC 3461
// section 5.2.2). The message is delivered, whatever becomes of the report.
func (s *session) reportRelayed(env *relay.Envelope, d relay.Delivery, errs []error, relayed []bool) {
	e := relay.Event{Kind: relay.Relayed}
	for i, to := range relayed {
		if to && errs[i] == nil {
			e.About = append(e.About, relay.Refusal{Recipient: d.Recipients[i]})
		}
	}
	if len(e.About) == 0 {
		return
	}
	report, ok, err := s.config().Handler.Report(d, e)
	if err == nil && ok {
		errs, _ := s.handOver(s.client.ctx, env, report)
		err = errors.Join(errs...)
	}
	if err != nil {
		s.log(env).Error("report of success not delivered", "error", err)
	}
}

// logFailure writes why a recipient was not delivered at the next hop: the MTA in
// front hears no more than the reply. Success is logged by the deliverer, which
// knows the next hop's answer.
func (s *session) logFailure(env *relay.Envelope, r relay.Recipient, err error) {
	if err == nil {
		return
	}
	reply := wire.Reply(err)
	s.log(env).Warn("not delivered", "recipient", r.Address.String(), "code", reply.Code, "kind", fault.Of(err).Kind.String(), "error", err)
}
