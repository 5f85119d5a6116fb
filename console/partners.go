package console

import (
	"net/http"
	"strings"

	"github.com/smimerelay/smimerelay/console/api"
	"github.com/smimerelay/smimerelay/history"
)

// partnersView is who the partners are, or one of them with its mail.
type partnersView struct {
	listing[api.Partner]
	Text       string
	Agreements []api.Agreement
	Rows       []history.Row // of the one address that was asked for
}

// partnerMessages is how many messages the page of one partner shows.
const partnerMessages = 20

func showPartners(v *visit) error {
	q := v.r.URL.Query()
	view := partnersView{Text: strings.TrimSpace(q.Get("q"))}
	in := api.PartnerQuery{Cursor: q.Get("cursor")}
	if strings.Contains(view.Text, "@") {
		in.Address = view.Text
	} else {
		in.Domain = view.Text
	}
	if len(view.Text) > 320 || len(in.Cursor) > 320 {
		return errBadForm
	}
	var err error
	if view.listing, err = listed(v.Operations.ListPartners(v.r.Context(), &in)); err != nil {
		return err
	}
	agreed, err := v.Operations.ListAgreements(v.r.Context(), &api.Empty{})
	if err != nil {
		return err
	}
	view.Agreements = agreed.Body.Items
	if in.Address != "" && view.Problem == "" {
		if view.Rows, err = v.messagesOf(in.Address); err != nil {
			return err
		}
	}
	return v.show(http.StatusOK, "partners", "Partners", view)
}

// messagesOf returns the last messages from and to an address; none where there is no history.
func (v *visit) messagesOf(address string) ([]history.Row, error) {
	found, err := v.Operations.SearchMessages(v.r.Context(), &api.MessageQuery{Paging: api.Paging{Limit: partnerMessages}, Address: address})
	if code, _, _, known := api.Status(err); err != nil {
		if known && code < http.StatusInternalServerError {
			return nil, nil
		}
		return nil, err
	}
	return found.Body.Items, nil
}
