package service

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/smimerelay/smimerelay/certs/enrol"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay/dsn"
	"github.com/smimerelay/smimerelay/smime/address"
)

// watchEnrolment goes on with the orders of certificates until ctx ends.
func (s *Service) watchEnrolment(ctx context.Context) {
	tick := time.NewTicker(s.options.Polls.Enrolment)
	defer tick.Stop()
	logged := ""
	for {
		text := ""
		if err := s.enrolOnce(ctx); err != nil {
			text = err.Error()
		}
		if text != logged && text != "" && ctx.Err() == nil {
			s.log.Warn("orders of certificates could not be worked on", "error", text)
		}
		logged = text
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// enrolOnce works on what is due, and tells of what failed.
func (s *Service) enrolOnce(ctx context.Context) error {
	p, release := s.use()
	defer release()
	if p.enroller == nil {
		return nil
	}
	errs := []error{p.enroller.Work(ctx), s.tellOrders(ctx, p)}
	for _, f := range p.folders {
		errs = append(errs, f.Scan(ctx))
	}
	return errors.Join(errs...)
}

// tellOrders notifies each administrator once of each order that is in trouble.
func (s *Service) tellOrders(ctx context.Context, p *Parts) error {
	if len(p.Config.Expiry.MailTo) == 0 {
		return nil
	}
	orders, err := p.store.Orders(ctx, store.OrderQuery{States: []store.OrderState{store.OrderFailed, store.OrderSent}})
	if err != nil {
		return err
	}
	var errs []error
	for _, text := range p.Config.Expiry.MailTo {
		if to, err := address.Parse(text); err == nil { // the configuration was checked
			errs = append(errs, s.tellOrdersTo(ctx, p, to, orders))
		}
	}
	return errors.Join(errs...)
}

func (s *Service) tellOrdersTo(ctx context.Context, p *Parts, to address.Address, orders []store.Order) error {
	var noted [][sha256.Size]byte
	var list []dsn.FailedOrder
	for i := range orders {
		o := &orders[i]
		if !enrol.Troubled(o) || len(list) == listedExpiring {
			continue
		}
		note := sha256.Sum256([]byte("order " + o.ID + " administrator " + to.Key(address.ExactCase)))
		first, err := p.store.Warned(ctx, note, 0)
		if err != nil {
			return errors.Join(err, p.forgetNotes(noted))
		}
		if first {
			noted = append(noted, note)
			list = append(list, dsn.FailedOrder{Address: o.Address, Order: o.ID[:8], Enrolment: o.Enrolment, Problem: o.Problem,
				Final: o.State == store.OrderFailed, Next: o.NextAt})
		}
	}
	if len(list) == 0 {
		return nil
	}
	d, err := p.Gateway.EnrolmentNotice(ctx, to, list)
	if err == nil {
		err = (&teller{Service: s, parts: p}).handOn(ctx, d)
	}
	if err != nil && fault.Of(err).Kind.Temporary() {
		return errors.Join(err, p.forgetNotes(noted))
	}
	if err != nil {
		s.log.Warn("enrolment notice rejected by the next hop", "recipient", to.String(), "error", err)
	}
	return nil
}

// forgetNotes undoes the notes of a notice that was not sent. It is done also when we are
// ending.
func (p *Parts) forgetNotes(notes [][sha256.Size]byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), storeTime)
	defer cancel()
	var errs []error
	for _, n := range notes {
		errs = append(errs, p.store.Unwarn(ctx, n, 0))
	}
	return errors.Join(errs...)
}
