package console

import (
	"net/http"
	"strconv"

	"github.com/smimerelay/smimerelay/console/api"
	"github.com/smimerelay/smimerelay/relay/queue"
)

// queueView is a part of the queue.
type queueView struct {
	listing[queue.Entry]
	Query    api.QueueQuery
	Statuses []queue.Status
}

func showQueue(v *visit) error {
	q := v.r.URL.Query()
	in := api.QueueQuery{Paging: v.paging(), Recipient: q.Get("recipient"), Sender: q.Get("sender"), Status: q.Get("status")}
	found, err := listed(v.Operations.ListQueue(v.r.Context(), &in))
	if err != nil {
		return err
	}
	return v.show(http.StatusOK, "queue", "Queue", queueView{found, in, queue.Statuses})
}

// eachDelivery does something with the deliveries that a form chose.
func eachDelivery(do func(v *visit, id api.DeliveryID, reason string) error) func(*visit) error {
	return func(v *visit) error {
		reason, err := v.whyGiven()
		if err != nil {
			return err
		}
		return v.each("/queue?done=done", func(text string) error {
			id, err := deliveryID(text)
			if err != nil {
				return err
			}
			return do(v, id, reason)
		})
	}
}

// deliveryID reads the number of a delivery in a form.
func deliveryID(text string) (api.DeliveryID, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 {
		return api.DeliveryID{}, errBadForm
	}
	return api.DeliveryID{ID: id}, nil
}

// refuse shows why a form was not accepted.
func (v *visit) refuse(err error) error {
	return v.show(http.StatusUnprocessableEntity, "error", "Not done", errorView{Text: say(v.lang, err.Error())})
}

func retry(v *visit, id api.DeliveryID, reason string) error {
	_, err := v.Operations.RetryDelivery(v.r.Context(), deliveryOrder(id, reason))
	return err
}

func hold(v *visit, id api.DeliveryID, reason string) error {
	_, err := v.Operations.HoldDelivery(v.r.Context(), deliveryOrder(id, reason))
	return err
}

func unhold(v *visit, id api.DeliveryID, reason string) error {
	_, err := v.Operations.ReleaseDelivery(v.r.Context(), deliveryOrder(id, reason))
	return err
}

func deliveryOrder(id api.DeliveryID, reason string) *api.DeliveryOrder {
	return &api.DeliveryOrder{DeliveryID: id, Body: &api.Why{Reason: reason}}
}

func removeDelivery(v *visit, id api.DeliveryID, reason string) error {
	_, err := v.Operations.RemoveDelivery(v.r.Context(), &api.DeliveryRemoval{DeliveryID: id, Removal: api.Removal{Reason: reason}})
	return err
}
