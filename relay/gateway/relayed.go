package gateway

import (
	"context"
	"errors"
	"log/slog"

	"github.com/smimerelay/smimerelay/relay"
)

// Reporting is a Deliverer that reports to the sender, where NOTIFY asks for it, that
// the next hop took a message and will not report that it was delivered: a sender who
// handed it over was offered DSN (RFC 3461 section 5.2.2). The queue makes such
// reports itself, in the transaction in which the message leaves it.
type Reporting struct {
	Deliverer relay.Deliverer
	Reporter  relay.Reporter
	Log       *slog.Logger
}

// Deliver implements relay.Deliverer. The message is delivered, whatever becomes of
// the report.
func (r Reporting) Deliver(ctx context.Context, d relay.Delivery) ([]error, []bool) {
	errs, relayed := r.Deliverer.Deliver(ctx, d)
	if len(relayed) != len(errs) || len(errs) != len(d.Recipients) {
		return errs, nil
	}
	e := relay.Event{Kind: relay.Relayed}
	for i, to := range relayed {
		if to && errs[i] == nil {
			e.About = append(e.About, relay.RecipientStatus{Recipient: d.Recipients[i]})
		}
	}
	if len(e.About) > 0 {
		if err := r.report(ctx, d, e); err != nil {
			d.Origin.With(r.Log).Error("success report not delivered", "error", err)
		}
	}
	return errs, nil
}

func (r Reporting) report(ctx context.Context, d relay.Delivery, e relay.Event) error {
	report, ok, err := r.Reporter.Report(ctx, d, e)
	if err != nil || !ok {
		return err
	}
	report.Origin = d.Origin
	errs, _ := r.Deliverer.Deliver(ctx, report)
	return errors.Join(errs...)
}
