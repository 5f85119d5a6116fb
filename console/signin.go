package console

import (
	"crypto/subtle"
	"errors"
	"net/http"

	"github.com/smimerelay/smimerelay/console/access"
)

// The cookies of the console: the secret of a session, and that of a browser in which some
// account has signed in.
const (
	sessionCookie = "smimerelay"
	deviceCookie  = "smimerelay-device"
)

// cookieName is the name of a cookie. Browsers take one with __Host- from this host alone,
// by HTTPS.
func (c *Console) cookieName(name string) string {
	if c.Secure {
		return "__Host-" + name
	}
	return name
}

// setCookie sets a cookie for some seconds; 0 is until the browser is closed, and -1 removes it.
func (v *visit) setCookie(name, value string, age int) {
	//nolint:gosec // Secure where browsers come by HTTPS
	http.SetCookie(v.w, &http.Cookie{
		Name: v.cookieName(name), Value: value, Path: "/", MaxAge: age, HttpOnly: true, Secure: v.Secure, SameSite: http.SameSiteStrictMode,
	})
}

// cookie is the value of a cookie, "" without.
func (v *visit) cookie(name string) string {
	c, err := v.r.Cookie(v.cookieName(name))
	if err != nil {
		return ""
	}
	return c.Value
}

// signedIn has the browser show its secrets from now on.
func (v *visit) signedIn(s access.Secrets, to string) error {
	v.setSecrets(s)
	return v.redirect(v.place(to))
}

func (v *visit) setSecrets(s access.Secrets) {
	v.setCookie(sessionCookie, s.Session, 0)
	v.setCookie(deviceCookie, s.Device, int(access.DeviceLifetime.Seconds()))
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// signInView is the form to sign in.
type signInView struct {
	Failed string
	Name   string
	Link   string // the secret of a link to follow
	To     string // the page that was asked for, "" for none
	// Provider is the host of the OpenID Connect provider, "" without one, and SignOutAt where
	// one who has signed out of the console signs out of it as well.
	Provider, SignOutAt string
}

// signIn shows the form.
func (v *visit) signIn(status int, view signInView) error {
	if p := v.provider(); p != nil {
		view.Provider = p.Host()
		if v.r.URL.Query().Has("signed-out") {
			view.SignOutAt = p.SignOutAt(v.r.Context())
		}
	}
	return v.show(status, "sign-in", "Sign in", view)
}

func showSignIn(v *visit) error {
	return v.signIn(http.StatusOK, signInView{To: v.r.URL.Query().Get("to")})
}

func signIn(v *visit) error {
	name, to := v.r.PostFormValue("name"), v.r.PostFormValue("to")
	secrets, err := v.Access.SignIn(v.r.Context(), access.Credentials{
		Name: name, Password: v.r.PostFormValue("password"), Code: v.r.PostFormValue("code"), From: clientAddr(v.r), Device: v.cookie(deviceCookie),
	})
	refused := func(status int, err error) error {
		return v.signIn(status, signInView{Failed: err.Error(), Name: name, To: to})
	}
	switch {
	case errors.Is(err, access.ErrLocked):
		v.Log.Warn("console: sign-in refused: too many failed attempts", "client", clientName(v.r))
		return refused(http.StatusTooManyRequests, access.ErrLocked)
	case errors.Is(err, access.ErrBusy):
		v.Log.Warn("console: sign-in refused: too many clients at once", "client", clientName(v.r))
		return refused(http.StatusServiceUnavailable, access.ErrBusy)
	case errors.Is(err, access.ErrRefused):
		v.Log.Warn("console: sign-in failed", "client", clientName(v.r))
		return refused(http.StatusForbidden, access.ErrRefused)
	case err != nil:
		return err
	}
	return v.signedIn(secrets, to)
}

// showLink has a button: what only loads a link, as scanners of mail and chat programs do, uses
// it up otherwise.
func showLink(v *visit) error {
	return v.signIn(http.StatusOK, signInView{Link: v.r.URL.Query().Get("secret")})
}

func followLink(v *visit) error {
	secrets, err := v.Access.FollowLink(v.r.Context(), v.r.PostFormValue("secret"), clientAddr(v.r), v.cookie(deviceCookie))
	if errors.Is(err, access.ErrNoSession) {
		return v.signIn(http.StatusForbidden, signInView{Failed: "the link was used already, or has expired"})
	}
	if err != nil {
		return err
	}
	return v.signedIn(secrets, "/")
}

func signOut(v *visit) error {
	if err := v.Access.SignOut(v.r.Context(), v.cookie(sessionCookie)); err != nil {
		return err
	}
	v.setCookie(sessionCookie, "", -1)
	if v.session.Issuer != "" {
		return v.redirect("/sign-in?signed-out")
	}
	return v.redirect("/sign-in")
}
