// Package console is the web console: pages for administrators, rendered on the server, and
// the API below them (console/api). Each page calls the operations of the API, in the name of
// the session that asks.
package console

import (
	"context"
	"embed"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/console/api"
	"github.com/smimerelay/smimerelay/console/openid"
	"github.com/smimerelay/smimerelay/internal/guard"
)

// Config is what the console needs.
type Config struct {
	Operations *api.Operations
	Access     *access.Store
	// Secure says that browsers come by HTTPS, to the console or to a proxy in front of it:
	// cookies are for that alone. TLS says that it is the console that speaks it.
	Secure, TLS bool
	// ClientHeader is the header field in which a proxy on this host names its client; ""
	// is none.
	ClientHeader string
	// OpenID is the OpenID Connect provider of the configuration in use; it, or what it returns,
	// is nil where there is none.
	OpenID   func() *openid.Provider
	Hostname string
	Clock    func() time.Time
	Log      *slog.Logger
}

// Route is a page or an operation of the API, with the role that it needs; "" is none.
type Route = api.Route

// Console serves the pages and the API.
type Console struct {
	Config
	handler http.Handler
	mux     *http.ServeMux
	routes  []Route
	places  map[string]access.Role // pages that can be asked for, by their pattern
	views   map[string]views       // by language
}

//go:embed assets
var assets embed.FS

// New returns a console.
func New(c Config) *Console {
	console := &Console{Config: c, views: loadViews(), places: map[string]access.Role{}}
	mux := http.NewServeMux()
	console.routes = c.Operations.Mount(mux)
	for _, p := range pages {
		console.routes = append(console.routes, Route{Method: p.method, Path: p.path, Role: p.role})
		mux.HandleFunc(p.pattern(), console.serve(p))
		if p.method == http.MethodGet && !strings.HasPrefix(p.path, "/sign-in/openid") { // which are steps on a way
			console.places[p.pattern()] = p.role
		}
	}
	files := http.FileServerFS(assets)
	for _, name := range []string{"console.css", "console.js", "icon.svg"} { // and no listing of the folder
		mux.Handle("GET /assets/"+name, files)
	}
	console.mux = mux
	mux.HandleFunc("/", console.unrouted)
	origins := http.NewCrossOriginProtection()
	origins.SetDenyHandler(http.HandlerFunc(console.deny))
	console.handler = console.protect(origins.Handler(mux))
	return console
}

// Routes are all pages and operations, for those who test who may what.
func (c *Console) Routes() []Route { return c.routes }

// ServeHTTP implements http.Handler.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.handler.ServeHTTP(w, r) }

// policy lets a page use what the console itself serves, and nothing else: what gets into a
// page from a message can not run, load anything or send a form elsewhere.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// maxBody is the most octets of a form: a message or a configuration is uploaded in one.
const maxBody = 8 << 20

// maxOpenBody is the most octets of a form of a client that has not signed in.
const maxOpenBody = 64 << 10

// protect is around everything.
func (c *Console) protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Frame-Options", "DENY")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if c.TLS { // a proxy says itself what holds for its host
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		r.RemoteAddr = c.remoteAddr(r)
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		err := guard.Do(c.Log, "console", func() error {
			if !isText(r.URL.Path) || !isTextQuery(r.URL.RawQuery) {
				c.refuseBytes(w, r)
				return nil
			}
			next.ServeHTTP(w, r)
			return nil
		})
		if err != nil {
			http.Error(w, api.Unable, http.StatusInternalServerError)
		}
	})
}

// page is a page, or what a form on one does.
type page struct {
	method, path string
	role         access.Role // "" is for everyone
	do           func(*visit) error
}

// pattern is that of package http.
func (p page) pattern() string {
	if p.path == "/" {
		return p.method + " /{$}"
	}
	return p.method + " " + p.path
}

// visit is one request for a page.
type visit struct {
	*Console
	w       http.ResponseWriter
	r       *http.Request   // its context has the actor
	session *access.Session // nil where no one has signed in
	lang    string
}

// serve admits a request and does what the page does.
func (c *Console) serve(p page) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), maxTime)
		defer cancel()
		v := &visit{Console: c, w: w, r: r.WithContext(ctx), lang: pickLanguage(r)}
		if err := v.admit(ctx, p); err != nil {
			v.fail(err)
			return
		}
		if err := p.do(v); err != nil {
			v.fail(err)
		}
	}
}

// maxTime is how long a page may take.
const maxTime = 60 * time.Second

// Why a page is not shown.
var (
	errSignIn    = errors.New("sign in first")
	errForbidden = errors.New("your role does not allow this")
	errForm      = errors.New("the form is not of this session: go back, load the page again and repeat")
	errTooLarge  = errors.New("what was sent is too large")
	errBadForm   = errors.New("the form cannot be read")
	errNoPage    = errors.New("there is no such page")
	errMethod    = errors.New("the page has another method")
	errOrigin    = errors.New("the form was sent from another site; if it was the console's own, the proxy in front of it does not pass on the field Host")
)

// refreshHeader is in what a page asks for by itself (console.js): it keeps no session alive.
const refreshHeader = "Smimerelay-Refresh"

// admit checks the session, its role and, for what changes something, that the form is one of
// the session. A form of a client that may not send it is not read: it would take memory.
func (v *visit) admit(ctx context.Context, p page) error {
	if p.role == "" {
		v.r.Body = http.MaxBytesReader(v.w, v.r.Body, maxOpenBody)
		return v.parseForm()
	}
	secret := v.cookie(sessionCookie)
	if secret == "" { // a browser sends none where a link of another site leads here
		return errSignIn
	}
	use := access.Active
	if v.r.Header.Get(refreshHeader) != "" {
		use = access.Passive
	}
	session, err := v.Access.Session(ctx, secret, use)
	if err == nil && !v.stillTrusted(session) {
		err = access.ErrNoSession
	}
	if errors.Is(err, access.ErrNoSession) {
		v.setCookie(sessionCookie, "", -1)
		return errSignIn
	}
	if err != nil {
		return err
	}
	v.session = session
	if !v.session.Role.Includes(p.role) {
		return errForbidden
	}
	if err := v.parseForm(); err != nil {
		return err
	}
	if v.r.Method == http.MethodPost && !equal(v.r.PostFormValue("csrf"), v.session.CSRF) {
		return errForm
	}
	by := access.Actor{Name: v.session.Name, Role: v.session.Role, From: clientName(v.r), Via: "console"}
	v.r = v.r.WithContext(api.WithActor(ctx, by))
	return nil
}

// stillTrusted reports whether an account comes from where the configuration in use says that
// accounts come from.
func (v *visit) stillTrusted(s *access.Session) bool {
	p := v.provider()
	return s.Issuer == "" || p != nil && p.Issuer() == s.Issuer
}

// parseForm reads the form of a request that has one, also one with files, within the bound of protect.
func (v *visit) parseForm() error {
	if v.r.Method != http.MethodPost {
		return nil
	}
	err := v.r.ParseForm()
	if err == nil {
		if err = v.r.ParseMultipartForm(maxBody); errors.Is(err, http.ErrNotMultipart) {
			err = nil
		}
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errTooLarge
	}
	if err != nil {
		return errBadForm
	}
	for name, values := range v.r.PostForm {
		if !uploads[name] && !isText(values...) {
			return errBadForm
		}
	}
	return nil
}
