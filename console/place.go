package console

import (
	"net/http"
	"net/url"
	"path"

	"github.com/smimerelay/smimerelay/console/access"
)

// here is the address of the page that a request asks for, without what it says was done; "/" if it
// asks for none.
func (v *visit) here() string {
	u := *v.r.URL
	q := u.Query()
	if q.Has("done") {
		q.Del("done")
		u.RawQuery = q.Encode()
	}
	return v.placeOf(u.RequestURI())
}

// place is the address of a page of the console that a form has in it, as it may be sent by anyone:
// one that leads elsewhere, or to a page that needs no session, is "/".
func (c *Console) place(text string) string {
	if role, to := c.find(text); role != "" {
		return to
	}
	return "/"
}

// placeOf is place for what is shown before someone has signed in as well.
func (c *Console) placeOf(text string) string {
	_, to := c.find(text)
	return to
}

// find returns the address of a page with the role that it needs. It is put together again of its
// path and query: what browsers could read as another host is not in them.
func (c *Console) find(text string) (access.Role, string) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Path == "" || path.Clean(u.Path) != u.Path {
		return "", "/"
	}
	to := &url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}
	_, pattern := c.mux.Handler(&http.Request{Method: http.MethodGet, URL: to})
	role, known := c.places[pattern]
	if !known {
		return "", "/"
	}
	return role, to.String()
}

// askToSignIn leads to the form, and from there back to the page that was asked for.
func (v *visit) askToSignIn() {
	to, here := "/sign-in", v.place(v.r.URL.RequestURI())
	// A browser shows no cookie where a link of another site leads here, whether or not someone has
	// signed in: a page that leads on by itself is of this site.
	if v.cookie(sessionCookie) == "" && v.r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		if err := v.show(http.StatusOK, "onward", "Go on to the console", here); err != nil {
			v.Log.Error("console: page failed", "error", err)
		}
		return
	}
	if here != "/" {
		to += "?" + url.Values{"to": {here}}.Encode()
	}
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
}
