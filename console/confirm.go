package console

import (
	"html/template"
	"net/http"

	"github.com/smimerelay/smimerelay/console/api"
)

// confirmation is what is asked before something is done that cannot be undone.
type confirmation struct{ question, button string }

var (
	removal      = confirmation{"Removed mail cannot be had back, and neither sender nor recipients get a report.", "Remove without a report"}
	plainRelease = confirmation{"These messages leave without encryption, although a rule wants it.", "Release in plaintext"}
)

// confirmView is the question, about which mail.
type confirmView struct {
	Question, Button, Reason string
	Chosen                   []chosen
}

// chosen is mail that a form chose, as far as it is still there.
type chosen struct {
	ID         string
	Sender     string
	Recipients []string
	Gone       template.HTML // why it is not
}

// confirmed is a form that asks before it does something to mail. What makes it useless to ask is
// left to do, which says so.
func confirmed(c confirmation, look func(v *visit, id string) (chosen, error), do func(*visit) error) func(*visit) error {
	return func(v *visit) error {
		ids := v.r.PostForm["id"]
		reason, err := v.whyGiven()
		if v.r.PostFormValue("sure") != "" || err != nil || len(ids) == 0 || len(ids) > maxChosen || c == plainRelease && reason == "" {
			return do(v)
		}
		view := confirmView{Question: c.question, Button: c.button, Reason: reason}
		there := 0
		for _, id := range ids {
			found, err := look(v, id)
			if err != nil {
				found.Gone = v.reason(err)
			} else {
				there++
			}
			found.ID = id
			view.Chosen = append(view.Chosen, found)
		}
		if there == 0 {
			return do(v)
		}
		return v.show(http.StatusOK, "confirm", "Are you sure?", view)
	}
}

func ofHeld(v *visit, id string) (c chosen, err error) {
	found, err := v.Operations.ShowHeld(v.r.Context(), &api.HeldID{ID: id})
	if err != nil {
		return c, err
	}
	c.Sender = found.Body.Sender
	for _, r := range found.Body.Recipients {
		c.Recipients = append(c.Recipients, r.Address)
	}
	return c, nil
}

func ofDelivery(v *visit, text string) (c chosen, err error) {
	id, err := deliveryID(text)
	if err != nil {
		return c, err
	}
	found, err := v.Operations.ShowDelivery(v.r.Context(), &id)
	if err != nil {
		return c, err
	}
	c.Sender = found.Body.Sender
	for _, r := range found.Body.Recipients {
		c.Recipients = append(c.Recipients, r.Address)
	}
	return c, nil
}
