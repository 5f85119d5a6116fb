package console

import (
	"errors"
	"net/http"
	"strings"

	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/console/api"
)

// auditView is what a search in the audit log found, beside what was asked.
type auditView struct {
	listing[access.Entry]
	Query        api.AuditQuery
	Since, Until string // as browsers write them
	Older        string // the page that follows, "" where there is none
}

func showAudit(v *visit) error {
	q := v.r.URL.Query()
	view := auditView{Since: q.Get("since"), Until: q.Get("until")}
	view.Query = api.AuditQuery{Paging: v.paging(), Who: strings.TrimSpace(q.Get("who")), What: strings.TrimSpace(q.Get("what"))}
	err := errors.Join(readTime(&view.Since, &view.Query.Since), readTime(&view.Until, &view.Query.Until))
	switch {
	case err != nil:
		view.Problem = errTime.Error()
	case len(view.Query.Who) > 255 || len(view.Query.What) > 320:
		view.Problem = errLong.Error()
	default:
		if view.listing, err = listed(v.Operations.ListAudit(v.r.Context(), &view.Query)); err != nil {
			return err
		}
	}
	if view.Next != "" {
		view.Older = view.address(view.Next)
	}
	return v.show(http.StatusOK, "audit", "Audit log", view)
}

// address is that of the same search from a cursor on.
func (a *auditView) address(cursor string) string {
	return searchAddress("/audit", map[string]string{
		"who": a.Query.Who, "what": a.Query.What, "since": a.Since, "until": a.Until, "cursor": cursor,
	})
}
