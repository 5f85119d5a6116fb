package api

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/history"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/queue"
)

// QueueQuery chooses deliveries.
type QueueQuery struct {
	Paging
	Sender    string `query:"sender" maxLength:"320" doc:"Only from this sender; @DOMAIN is all of a domain, <> the null sender."`
	Recipient string `query:"recipient" maxLength:"320" doc:"Only to this recipient; @DOMAIN is all of a domain."`
	Status    string `query:"status" enum:"new,waiting,active,deferred,hold" doc:"Only with this status."`
	Route     string `query:"route" maxLength:"320" doc:"Only by this route."`
}

// queue returns the queue, or that there is none.
func (o *Operations) queue() (*queue.Store, error) {
	if q := o.Gateway.Queue(); q != nil {
		return q, nil
	}
	return nil, huma.Error404NotFound(noQueue)
}

// ListQueue lists deliveries in the queue, oldest first.
func (o *Operations) ListQueue(ctx context.Context, in *QueueQuery) (*Body[List[queue.Entry]], error) {
	q := o.Gateway.Queue()
	if q == nil {
		return body(listOf[queue.Entry](nil, 1, nil)), nil
	}
	f := queue.Filter{Sender: in.Sender, Recipient: in.Recipient, Status: queue.Status(in.Status), Destination: in.Route, Limit: in.most() + 1}
	if in.Cursor != "" {
		var err error
		if f.After, err = strconv.ParseInt(in.Cursor, 10, 64); err != nil {
			return nil, badCursor()
		}
	}
	found, err := q.List(ctx, f)
	if err != nil {
		return nil, o.problem(ctx, err)
	}
	return body(listOf(found, in.most(), func(e queue.Entry) string { return strconv.FormatInt(e.ID, 10) })), nil
}

func badCursor() error {
	return huma.Error422UnprocessableEntity("the cursor is not one of this list", &huma.ErrorDetail{Location: "query.cursor", Message: notCursor})
}

// DeliveryID names a delivery.
type DeliveryID struct {
	ID int64 `path:"id" minimum:"1" doc:"Number of the delivery."`
}

// String returns the number, as the audit log has it.
func (d DeliveryID) String() string { return strconv.FormatInt(d.ID, 10) }

// ShowDelivery shows one delivery.
func (o *Operations) ShowDelivery(ctx context.Context, in *DeliveryID) (*Body[queue.Entry], error) {
	q, err := o.queue()
	if err != nil {
		return nil, err
	}
	found, err := q.List(ctx, queue.Filter{After: in.ID - 1, Limit: 1})
	if err == nil && (len(found) == 0 || found[0].ID != in.ID) {
		err = fmt.Errorf("delivery %d: %w", in.ID, queue.ErrNotFound)
	}
	if err != nil {
		return nil, o.problem(ctx, err)
	}
	return body(found[0]), nil
}

// Why is the reason for what is done, if there is one to give: the audit log keeps it.
type Why struct {
	Reason string `json:"reason,omitempty" maxLength:"500" doc:"Why, for the audit log."`
}

// text is the reason; "" is none.
func (w *Why) text() string {
	if w == nil {
		return ""
	}
	return w.Reason
}

// DeliveryOrder is what is to be done with a delivery.
type DeliveryOrder struct {
	DeliveryID
	Body *Why
}

// RetryDelivery has a delivery attempted again now.
func (o *Operations) RetryDelivery(ctx context.Context, in *DeliveryOrder) (*Empty, error) {
	return o.order(ctx, in, "queue.retry", (*queue.Store).Retry, "an attempt is in progress, or the delivery is on hold")
}

// HoldDelivery puts a delivery on hold.
func (o *Operations) HoldDelivery(ctx context.Context, in *DeliveryOrder) (*Empty, error) {
	return o.order(ctx, in, "queue.hold", (*queue.Store).Hold, "an attempt is in progress; try again")
}

// ReleaseDelivery has a delivery that is on hold attempted again.
func (o *Operations) ReleaseDelivery(ctx context.Context, in *DeliveryOrder) (*Empty, error) {
	return o.order(ctx, in, "queue.release", (*queue.Store).Unhold, "the delivery is not on hold")
}

func (o *Operations) order(ctx context.Context, in *DeliveryOrder, action string, do func(*queue.Store, context.Context, int64) (bool, error), not string) (*Empty, error) {
	before, err := o.ShowDelivery(ctx, &in.DeliveryID)
	if err != nil {
		return nil, err
	}
	e := access.Entry{Action: action, Object: in.String(), Reason: in.Body.text(), Before: map[string]any{"status": before.Body.Status}}
	return nil, o.audited(ctx, e, func() error {
		q, err := o.queue()
		if err != nil {
			return err
		}
		done, err := do(q, ctx, in.ID)
		if err == nil && !done {
			err = huma.Error409Conflict(not)
		}
		return err
	})
}

// Removal is why something is removed: a request that deletes has no body.
type Removal struct {
	Reason string `query:"reason" maxLength:"500" doc:"Why, for the audit log and the history."`
}

// DeliveryRemoval names a delivery to remove.
type DeliveryRemoval struct {
	DeliveryID
	Removal
}

// RemoveDelivery deletes a delivery without a delivery report.
func (o *Operations) RemoveDelivery(ctx context.Context, in *DeliveryRemoval) (*Empty, error) {
	before, err := o.ShowDelivery(ctx, &in.DeliveryID)
	if err != nil {
		return nil, err
	}
	e := access.Entry{Action: "queue.remove", Object: in.String(), Reason: in.Reason, Before: map[string]any{"sender": before.Body.Sender, "recipients": before.Body.Recipients}}
	return nil, o.audited(ctx, e, func() error {
		q, err := o.queue()
		if err != nil {
			return err
		}
		dropped, err := q.Drop(ctx, in.ID)
		if err != nil {
			return err
		}
		return o.removed(ctx, dropped, in.Reason)
	})
}

// removed has the history say that mail was removed, by whom and why.
func (o *Operations) removed(ctx context.Context, d queue.Dropped, reason string) error {
	h, err := o.Gateway.History(ctx)
	if errors.Is(err, history.ErrNone) || err == nil && h == nil {
		return nil
	}
	if err == nil {
		err = h.Remove(ctx, history.Removal{ID: d.ID, Recipients: d.Recipients, Since: d.Since, By: actor(ctx).Name, Reason: reason}, o.Clock())
	}
	if err != nil {
		return fmt.Errorf("removed from the queue, but not noted in the history: %w", err)
	}
	return nil
}

// ListHeld lists the messages that are held for missing certificates or in quarantine.
func (o *Operations) ListHeld(ctx context.Context, in *Paging) (*Body[List[queue.HeldEntry]], error) {
	q := o.Gateway.Queue()
	if q == nil {
		return body(listOf[queue.HeldEntry](nil, 1, nil)), nil
	}
	var after queue.HoldID
	if in.Cursor != "" {
		var ok bool
		if after, ok = queue.ParseHoldID(in.Cursor); !ok {
			return nil, badCursor()
		}
	}
	found, err := q.HeldBehind(ctx, after, in.most()+1)
	if err != nil {
		return nil, o.problem(ctx, err)
	}
	return body(listOf(found, in.most(), func(e queue.HeldEntry) string { return e.ID.String() })), nil
}

// HeldID names a held message.
type HeldID struct {
	ID string `path:"id" pattern:"^h[1-9][0-9]{0,17}$" doc:"Number of the held message, such as h3."`
}

func (h HeldID) parse() (queue.HoldID, error) {
	id, ok := queue.ParseHoldID(h.ID)
	if !ok || id == math.MaxInt64 {
		return 0, huma.Error422UnprocessableEntity(noHeldNumber)
	}
	return id, nil
}

// ShowHeld shows one held message, without its text.
func (o *Operations) ShowHeld(ctx context.Context, in *HeldID) (*Body[queue.HeldEntry], error) {
	id, err := in.parse()
	if err != nil {
		return nil, err
	}
	q, err := o.queue()
	if err != nil {
		return nil, err
	}
	found, err := q.HeldBehind(ctx, id-1, 1)
	if err == nil && (len(found) == 0 || found[0].ID != id) {
		err = fmt.Errorf("%s: %w", id, queue.ErrNotFound)
	}
	if err != nil {
		return nil, o.problem(ctx, err)
	}
	return body(found[0]), nil
}

// HeldOrder is what is to be done with a held message.
type HeldOrder struct {
	HeldID
	Body *Why
}

// HeldRemoval names a held message to remove.
type HeldRemoval struct {
	HeldID
	Removal
}

// Reason is why something is done that needs a reason.
type Reason struct {
	HeldID
	Body struct {
		Reason string `json:"reason" minLength:"1" maxLength:"500" doc:"Why."`
	}
}

// ReleaseHeld has a held message decided again now: what can be encrypted leaves, and mail in
// quarantine is delivered.
func (o *Operations) ReleaseHeld(ctx context.Context, in *HeldOrder) (*Empty, error) {
	return o.give(ctx, &in.HeldID, "held.release", relay.Order{Verb: relay.Release, Reason: in.Body.text()})
}

// ReleaseHeldPlain releases a held message in plaintext although a rule requires encryption.
func (o *Operations) ReleaseHeldPlain(ctx context.Context, in *Reason) (*Empty, error) {
	return o.give(ctx, &in.HeldID, "held.release-plain", relay.Order{Verb: relay.ReleasePlain, Reason: in.Body.Reason})
}

// ReturnHeld returns a held message to its sender, with the reason.
func (o *Operations) ReturnHeld(ctx context.Context, in *Reason) (*Empty, error) {
	return o.give(ctx, &in.HeldID, "held.return", relay.Order{Verb: relay.GiveBack, Reason: in.Body.Reason})
}

func (o *Operations) give(ctx context.Context, in *HeldID, action string, order relay.Order) (*Empty, error) {
	before, err := o.ShowHeld(ctx, in)
	if err != nil {
		return nil, err
	}
	if before.Body.Quarantined && order.Verb == relay.ReleasePlain {
		return nil, huma.Error409Conflict(inQuarantine)
	}
	order.By = actor(ctx).Name
	return nil, o.audited(ctx, heldEntry(action, before.Body, order.Reason), func() error {
		q, err := o.queue()
		if err != nil {
			return err
		}
		return q.Give(ctx, before.Body.ID, order)
	})
}

// RemoveHeld deletes a held message without a delivery report.
func (o *Operations) RemoveHeld(ctx context.Context, in *HeldRemoval) (*Empty, error) {
	before, err := o.ShowHeld(ctx, &in.HeldID)
	if err != nil {
		return nil, err
	}
	return nil, o.audited(ctx, heldEntry("held.remove", before.Body, in.Reason), func() error {
		q, err := o.queue()
		if err != nil {
			return err
		}
		dropped, err := q.DropHeld(ctx, before.Body.ID)
		if err != nil {
			return err
		}
		return o.removed(ctx, dropped, in.Reason)
	})
}

// heldEntry is what the audit log keeps of a held message: once it is gone nothing else
// tells whose it was.
func heldEntry(action string, e queue.HeldEntry, reason string) access.Entry {
	return access.Entry{Action: action, Object: e.ID.String(), Reason: reason,
		Before: map[string]any{"sender": e.Sender, "recipients": e.Recipients, "quarantined": e.Quarantined}}
}
