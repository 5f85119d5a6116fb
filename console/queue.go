package console

import (
	"net/http"
	"strconv"

	"github.com/smimerelay/smimerelay/console/api"
	"github.com/smimerelay/smimerelay/relay/queue"
)

// queueView is a part of the queue.
type queueView struct {
	Query    api.QueueQuery
	Statuses []queue.Status
	Entries  []queue.Entry
	Next     string
}

func showQueue(v *visit) error {
	q := v.r.URL.Query()
	in := api.QueueQuery{Paging: v.paging(), Recipient: q.Get("recipient"), Sender: q.Get("sender"), Status: q.Get("status")}
	found, err := v.Operations.ListQueue(v.r.Context(), &in)
	if err != nil {
		return err
	}
	return v.show(http.StatusOK, "queue", "Queue", queueView{in, queue.Statuses, found.Body.Items, found.Body.Next})
}

// eachDelivery does something with the deliveries that a form chose.
func eachDelivery(do func(*visit, *api.DeliveryID) error) func(*visit) error {
	return func(v *visit) error {
		return v.each("/queue?done=done", func(text string) error {
			id, err := strconv.ParseInt(text, 10, 64)
			if err != nil || id < 1 {
				return errBadForm
			}
			return do(v, &api.DeliveryID{ID: id})
		})
	}
}

// refuse shows why a form was not accepted.
func (v *visit) refuse(err error) error {
	return v.show(http.StatusUnprocessableEntity, "error", "Not done", errorView{Text: say(v.lang, err.Error())})
}

func retry(v *visit, id *api.DeliveryID) error {
	_, err := v.Operations.RetryDelivery(v.r.Context(), id)
	return err
}

func hold(v *visit, id *api.DeliveryID) error {
	_, err := v.Operations.HoldDelivery(v.r.Context(), id)
	return err
}

func unhold(v *visit, id *api.DeliveryID) error {
	_, err := v.Operations.ReleaseDelivery(v.r.Context(), id)
	return err
}

func removeDelivery(v *visit, id *api.DeliveryID) error {
	_, err := v.Operations.RemoveDelivery(v.r.Context(), id)
	return err
}
