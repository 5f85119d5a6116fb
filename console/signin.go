package console

import (
	"crypto/subtle"
	"errors"
	"net/http"

	"github.com/smimerelay/smimerelay/console/access"
)

// cookieName is that of the cookie with the secret of the session. Browsers take one with
// __Host- from this host alone, by HTTPS.
func (c *Console) cookieName() string {
	if c.Secure {
		return "__Host-smimerelay"
	}
	return "smimerelay"
}

// setCookie sets the secret of a session; "" removes it.
func (v *visit) setCookie(secret string) {
	age := 0 // until the browser is closed
	if secret == "" {
		age = -1
	}
	//nolint:gosec // Secure where browsers come by HTTPS
	http.SetCookie(v.w, &http.Cookie{
		Name: v.cookieName(), Value: secret, Path: "/", MaxAge: age, HttpOnly: true, Secure: v.Secure, SameSite: http.SameSiteStrictMode,
	})
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// signInView is the form to sign in.
type signInView struct {
	Failed string
	Name   string
	Link   string // the secret of a link to follow
}

func showSignIn(v *visit) error { return v.show(http.StatusOK, "sign-in", "Sign in", signInView{}) }

func signIn(v *visit) error {
	name := v.r.PostFormValue("name")
	secret, err := v.Access.SignIn(v.r.Context(), access.Credentials{
		Name: name, Password: v.r.PostFormValue("password"), Code: v.r.PostFormValue("code"), From: client(v.r),
	})
	switch {
	case errors.Is(err, access.ErrLocked):
		v.Log.Warn("console: sign-in refused: too many failed attempts", "client", clientName(v.r))
		return v.show(http.StatusTooManyRequests, "sign-in", "Sign in", signInView{Failed: err.Error(), Name: name})
	case errors.Is(err, access.ErrRefused):
		v.Log.Warn("console: sign-in failed", "client", clientName(v.r))
		return v.show(http.StatusForbidden, "sign-in", "Sign in", signInView{Failed: err.Error(), Name: name})
	case err != nil:
		return err
	}
	v.setCookie(secret)
	return v.redirect("/")
}

// showLink has a button: what only loads a link, as scanners of mail and chat programs do, uses
// it up otherwise.
func showLink(v *visit) error {
	return v.show(http.StatusOK, "sign-in", "Sign in", signInView{Link: v.r.URL.Query().Get("secret")})
}

func followLink(v *visit) error {
	secret, err := v.Access.FollowLink(v.r.Context(), v.r.PostFormValue("secret"), client(v.r))
	if errors.Is(err, access.ErrNoSession) {
		return v.show(http.StatusForbidden, "sign-in", "Sign in", signInView{Failed: "the link was used already, or has expired"})
	}
	if err != nil {
		return err
	}
	v.setCookie(secret)
	return v.redirect("/")
}

func signOut(v *visit) error {
	if cookie, err := v.r.Cookie(v.cookieName()); err == nil {
		if err := v.Access.SignOut(v.r.Context(), cookie.Value); err != nil {
			return err
		}
	}
	v.setCookie("")
	return v.redirect("/sign-in")
}
