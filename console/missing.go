package console

import (
	"net/http"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/console/api"
)

// unrouted answers what is no page and no operation.
func (c *Console) unrouted(w http.ResponseWriter, r *http.Request) {
	allowed := c.methods(r)
	if len(allowed) > 0 {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
	}
	switch {
	case !isAPI(r):
		c.serve(page{role: access.Viewer, do: func(v *visit) error { return v.noPage(allowed) }})(w, r)
	case len(allowed) > 0:
		c.problem(w, http.StatusMethodNotAllowed, "the operation has another method: "+strings.Join(allowed, ", "))
	default:
		c.problem(w, http.StatusNotFound, "there is no such operation; "+api.Prefix+"/openapi.json describes those that there are")
	}
}

// methods are those that the path of a request has.
func (c *Console) methods(r *http.Request) (allowed []string) {
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := c.mux.Handler(other); pattern != "/" {
			allowed = append(allowed, method)
		}
	}
	return allowed
}

// noPage says that there is no such page. The address of a form, which stays where a browser shows
// what it answered, leads back to the page of the form.
func (v *visit) noPage(allowed []string) error {
	if (v.r.Method == http.MethodGet || v.r.Method == http.MethodHead) && slices.Contains(allowed, http.MethodPost) {
		return v.redirect(frame{Path: v.r.URL.Path, Session: v.session}.Back().Path)
	}
	if len(allowed) > 0 {
		return errMethod
	}
	return errNoPage
}

// deny answers a form of another site.
func (c *Console) deny(w http.ResponseWriter, r *http.Request) {
	if isAPI(r) {
		c.problem(w, http.StatusForbidden, errOrigin.Error())
		return
	}
	v := &visit{Console: c, w: w, r: r, lang: pickLanguage(r)}
	v.fail(errOrigin)
}

func isAPI(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/api/") }

// problem answers with an error of the API.
func (c *Console) problem(w http.ResponseWriter, code int, text string) {
	if err := api.WriteProblem(w, code, text); err != nil {
		c.Log.Debug("console: client is gone", "error", err)
	}
}
