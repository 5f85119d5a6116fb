package console

import (
	"errors"
	"net/http"

	"github.com/smimerelay/smimerelay/console/api"
	"github.com/smimerelay/smimerelay/relay/queue"
)

// heldView is a part of what is held.
type heldView struct {
	Entries []queue.HeldEntry
	Next    string
}

func showHeld(v *visit) error {
	in := v.paging()
	found, err := v.Operations.ListHeld(v.r.Context(), &in)
	if err != nil {
		return err
	}
	return v.show(http.StatusOK, "held", "Held mail and quarantine", heldView{found.Body.Items, found.Body.Next})
}

// errReason is a form without a reason.
var errReason = errors.New("give a reason")

// eachHeld does something with the held messages that a form chose.
func eachHeld(do func(v *visit, id api.HeldID, reason string) error) func(*visit) error {
	return func(v *visit) error {
		reason, err := v.whyGiven()
		if err != nil {
			return err
		}
		return v.each("/held?done=recheck", func(id string) error { return do(v, api.HeldID{ID: id}, reason) })
	}
}

// withReason is eachHeld for what needs a reason.
func withReason(do func(v *visit, in *api.Reason) error) func(*visit) error {
	each := eachHeld(func(v *visit, id api.HeldID, reason string) error {
		in := &api.Reason{HeldID: id}
		in.Body.Reason = reason
		return do(v, in)
	})
	return func(v *visit) error {
		switch reason, err := v.whyGiven(); {
		case err != nil:
			return err
		case reason == "":
			return v.refuse(errReason)
		}
		return each(v)
	}
}

func releaseHeld(v *visit, id api.HeldID, reason string) error {
	_, err := v.Operations.ReleaseHeld(v.r.Context(), &api.HeldOrder{HeldID: id, Body: &api.Why{Reason: reason}})
	return err
}

func returnHeld(v *visit, in *api.Reason) error {
	_, err := v.Operations.ReturnHeld(v.r.Context(), in)
	return err
}

func releasePlain(v *visit, in *api.Reason) error {
	_, err := v.Operations.ReleaseHeldPlain(v.r.Context(), in)
	return err
}

func removeHeld(v *visit, id api.HeldID, reason string) error {
	_, err := v.Operations.RemoveHeld(v.r.Context(), &api.HeldRemoval{HeldID: id, Removal: api.Removal{Reason: reason}})
	return err
}
