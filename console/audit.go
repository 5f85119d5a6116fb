package console

import (
	"net/http"

	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/console/api"
)

func showAudit(v *visit) error {
	in := v.paging()
	found, err := v.Operations.ListAudit(v.r.Context(), &in)
	if err != nil {
		return err
	}
	return v.show(http.StatusOK, "audit", "Audit log", api.List[access.Entry]{Items: found.Body.Items, Next: found.Body.Next})
}
