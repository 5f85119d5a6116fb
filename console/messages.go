package console

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/console/api"
	"github.com/smimerelay/smimerelay/history"
	"github.com/smimerelay/smimerelay/internal/config"
)

// messagesView is what a search found, beside what was asked.
type messagesView struct {
	listing[history.Row]
	Query            api.MessageQuery
	Since, Until     string // as browsers write them
	Outcomes         []history.Outcome
	Listeners, Rules []string // of the configuration in use, to choose from
	Older            string   // the page that follows, "" where there is none
}

// The errors of a search are about what was written, and are shown above the list.
var (
	errTime = errors.New("write times such as 2026-12-01T10:42, in UTC")
	errLong = errors.New("what is searched for is too long")
)

func showMessages(v *visit) error {
	q := v.r.URL.Query()
	view := messagesView{Since: q.Get("since"), Until: q.Get("until"), Outcomes: history.Outcomes}
	if err := v.namesToChoose(&view); err != nil {
		return err
	}
	view.Query = api.MessageQuery{
		Paging: v.paging(), Text: strings.TrimSpace(q.Get("q")), Direction: q.Get("direction"), Outcome: q.Get("outcome"),
		Listener: strings.TrimSpace(q.Get("listener")), Rule: strings.TrimSpace(q.Get("rule")),
	}
	err := errors.Join(readTime(&view.Since, &view.Query.Since), readTime(&view.Until, &view.Query.Until))
	switch {
	case err != nil:
		view.Problem = errTime.Error()
	case len(view.Query.Text) > 998 || len(view.Query.Listener) > 100 || len(view.Query.Rule) > 200:
		view.Problem = errLong.Error()
	default:
		if view.listing, err = listed(v.Operations.SearchMessages(v.r.Context(), &view.Query)); err != nil {
			return err
		}
	}
	if view.Next != "" {
		view.Older = view.address(view.Next)
	}
	return v.show(http.StatusOK, "messages", "Messages", view)
}

// namesToChoose sets the listeners and the rules.
func (v *visit) namesToChoose(view *messagesView) error {
	c, err := v.Operations.ShowConfiguration(v.r.Context(), &api.Empty{})
	if err != nil {
		return err
	}
	view.Listeners = names(c.Body.Options, "listener[")
	view.Rules = append(names(c.Body.Options, "rule["), names(c.Body.Options, "inbound_rule[")...)
	return nil
}

// names are those of the tables with a prefix.
func names(options []config.Option, prefix string) (list []string) {
	for _, table := range rulesOf(options, prefix) {
		if table.Name != "" {
			list = append(list, table.Name)
		}
	}
	return list
}

// readTime reads a time of a form, and writes it as browsers want it; "" is none.
func readTime(text *string, to *time.Time) error {
	if *text == "" {
		return nil
	}
	at, err := history.ParseTime(*text)
	if err == nil {
		*to, *text = at, at.Format("2006-01-02T15:04:05")
	}
	return err
}

// address is that of the same search from a cursor on.
func (m *messagesView) address(cursor string) string {
	return searchAddress("/messages", map[string]string{
		"q": m.Query.Text, "since": m.Since, "until": m.Until, "listener": m.Query.Listener, "rule": m.Query.Rule,
		"direction": m.Query.Direction, "outcome": m.Query.Outcome, "cursor": cursor,
	})
}

// searchAddress is the address of a search, with what was asked.
func searchAddress(path string, asked map[string]string) string {
	q := url.Values{}
	for name, value := range asked {
		if value != "" {
			q.Set(name, value)
		}
	}
	return path + "?" + q.Encode()
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
