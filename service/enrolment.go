package service

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"github.com/smimerelay/smimerelay/certs/enrol"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay/dsn"
	"github.com/smimerelay/smimerelay/smime/address"
)

// errand is a part of the work on orders that waits for no other part: a provider that hangs, or
// a next hop that takes no answers, keeps the rest from nothing.
type errand struct {
	// name is unique.
	name string
	do   func(ctx context.Context, p *Parts) error
}

// errands are those of the parts in use.
func (s *Service) errands() []errand {
	p, release := s.use()
	defer release()
	if p.enroller == nil {
		return nil
	}
	list := []errand{
		{"challenges", s.answerChallenges},
		{"notices", s.tellOrders},
		{"folders", scanFolders},
		{"removed enrolments", func(ctx context.Context, p *Parts) error {
			if p.enroller == nil {
				return nil // since a reload
			}
			return p.enroller.ClearRemoved(ctx)
		}},
	}
	for _, e := range p.enroller.Enrolments {
		list = append(list, errand{"enrolment " + e.Name, func(ctx context.Context, p *Parts) error {
			if p.enroller == nil {
				return nil // since a reload
			}
			return p.enroller.Work(ctx, e.Name)
		}})
	}
	return list
}

func scanFolders(ctx context.Context, p *Parts) error {
	var errs []error
	for _, f := range p.folders {
		errs = append(errs, f.Scan(ctx))
	}
	return errors.Join(errs...)
}

// watchEnrolment goes on with the orders of certificates until ctx ends.
func (s *Service) watchEnrolment(ctx context.Context) {
	tick := time.NewTicker(s.options.Polls.Enrolment)
	defer tick.Stop()
	var under errandsUnderWay
	defer under.group.Wait()
	for {
		for _, e := range s.errands() {
			under.start(e.name, func() string { return s.run(ctx, e) }, func(text string) {
				s.log.Warn("orders of certificates could not be worked on", "error", text)
			})
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// run does an errand, and returns what went wrong; "" if nothing did, or all is ending.
func (s *Service) run(ctx context.Context, e errand) string {
	p, release := s.use()
	defer release()
	if err := e.do(ctx, p); err != nil && ctx.Err() == nil {
		return err.Error()
	}
	return ""
}

// errandsUnderWay are the errands that have begun. The zero value is none.
type errandsUnderWay struct {
	group sync.WaitGroup

	mu     sync.Mutex
	busy   map[string]bool
	logged map[string]string
}

// start begins an errand unless it is under way; tell is called with what went wrong, unless
// that is what went wrong before.
func (u *errandsUnderWay) start(name string, do func() string, tell func(text string)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.busy == nil {
		u.busy, u.logged = map[string]bool{}, map[string]string{}
	}
	if u.busy[name] {
		return
	}
	u.busy[name] = true
	u.group.Go(func() {
		text := do()
		u.mu.Lock()
		defer u.mu.Unlock()
		if text != u.logged[name] && text != "" {
			tell(text)
		}
		u.busy[name], u.logged[name] = false, text
	})
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
