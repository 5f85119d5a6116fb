package console

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"

	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/console/openid"
)

// openIDCookie binds a sign-in by OpenID Connect to the browser in which it was begun. The
// browser shows it where the provider sends it back, which a strict cookie would not do.
const openIDCookie = "smimerelay-openid"

// provider is the OpenID Connect provider of the configuration in use; nil is none.
func (c *Console) provider() *openid.Provider {
	if c.OpenID == nil {
		return nil
	}
	return c.OpenID()
}

// maxTo is the most octets of the address of a page that is in the cookie: browsers take 4096 of it all.
const maxTo = 2000

// withTo is the value of the cookie: the secret, and the page to go to in the end. cutTo takes it apart.
func withTo(secret, to string) string {
	if to == "/" || len(to) > maxTo {
		return secret
	}
	return secret + "~" + base64.RawURLEncoding.EncodeToString([]byte(to))
}

func cutTo(value string) (secret, to string) {
	secret, encoded, _ := strings.Cut(value, "~")
	decoded, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return secret, ""
	}
	return secret, string(decoded)
}

// setOpenIDCookie sets or removes it.
func (v *visit) setOpenIDCookie(value string, age int) {
	//nolint:gosec // Secure where browsers come by HTTPS
	http.SetCookie(v.w, &http.Cookie{
		Name: v.cookieName(openIDCookie), Value: value, Path: "/", MaxAge: age, HttpOnly: true, Secure: v.Secure, SameSite: http.SameSiteLaxMode,
	})
}

// beginOpenID sends the browser to the provider. It is a link and no form: what a form leads to
// must be of the console (form-action).
func beginOpenID(v *visit) error {
	p := v.provider()
	if p == nil {
		return v.redirect("/sign-in")
	}
	to := v.place(v.r.URL.Query().Get("to"))
	secret, location, err := p.Begin(v.r.Context())
	if err != nil {
		return v.refuseOpenID(err, to)
	}
	v.setOpenIDCookie(withTo(secret, to), int(openid.Lifetime.Seconds()))
	http.Redirect(v.w, v.r, location, http.StatusSeeOther)
	return nil
}

// finishOpenID signs someone in whom the provider sent back. The only place to go from here is a page
// of the console.
func finishOpenID(v *visit) error {
	p := v.provider()
	if p == nil {
		return v.redirect("/sign-in")
	}
	secret, to := cutTo(v.cookie(openIDCookie))
	to = v.place(to)
	v.setOpenIDCookie("", -1)
	who, err := p.Finish(v.r.Context(), secret, v.r.URL.Query())
	if err != nil {
		return v.refuseOpenID(err, to)
	}
	secrets, err := v.Access.SignInExternal(v.r.Context(), who, clientAddr(v.r), v.cookie(deviceCookie))
	if err != nil {
		return v.refuseOpenID(err, to)
	}
	v.setSecrets(secrets)
	// The page leads on by itself: with a redirect this would still be a way that began at another
	// site, on which a browser does not show the cookie of the session.
	return v.show(http.StatusOK, "onward", "Signed in", to)
}

// refuseOpenID says why someone does not get in. The local accounts are on the same page, and lead to
// the same one.
func (v *visit) refuseOpenID(err error, to string) error {
	status, text := http.StatusForbidden, ""
	if r, ok := errors.AsType[*openid.Refused](err); ok {
		if text = r.Text; text == openid.Unavailable {
			status = http.StatusServiceUnavailable
		}
	}
	for _, known := range []error{access.ErrNoRole, access.ErrTaken, access.ErrName, access.ErrUsed} {
		if errors.Is(err, known) {
			text = known.Error()
		}
	}
	if text == "" {
		return err
	}
	v.Log.Warn("console: sign-in failed", "client", clientName(v.r), "error", err)
	return v.signIn(status, signInView{Failed: text, To: to})
}
