package console

import (
	"net/http"

	"github.com/smimerelay/smimerelay/console/api"
	"github.com/smimerelay/smimerelay/history"
)

// messagesView is what a search found.
type messagesView struct {
	listing[history.Row]
	Query    api.MessageQuery
	Outcomes []history.Outcome
}

func showMessages(v *visit) error {
	q := v.r.URL.Query()
	in := api.MessageQuery{Paging: v.paging(), Text: q.Get("q"), Direction: q.Get("direction"), Outcome: q.Get("outcome")}
	view := messagesView{Query: in, Outcomes: history.Outcomes}
	if len(in.Text) > 998 {
		return errBadForm
	}
	var err error
	if view.listing, err = listed(v.Operations.SearchMessages(v.r.Context(), &in)); err != nil {
		return err
	}
	return v.show(http.StatusOK, "messages", "Messages", view)
}

// paging is where the list of a page begins.
func (v *visit) paging() api.Paging { return api.Paging{Cursor: v.r.URL.Query().Get("cursor")} }

func showMessage(v *visit) error {
	found, err := v.Operations.ShowMessage(v.r.Context(), &api.MessageID{ID: v.r.PathValue("id")})
	if err != nil {
		return err
	}
	return v.show(http.StatusOK, "message", "Message", found.Body.Items)
}
