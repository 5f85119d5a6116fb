package console

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/console/api"
	"github.com/smimerelay/smimerelay/internal/printable"
)

//go:embed pages/*.html
var templates embed.FS

// views are the templates in one language, by the name of their file.
type views map[string]*template.Template

// loadViews reads the templates, which are part of the program: an error in one is one of the
// program.
func loadViews() map[string]views {
	names, err := fs.Glob(templates, "pages/*.html")
	if err != nil {
		panic(err)
	}
	all := map[string]views{}
	for _, lang := range languages {
		all[lang] = views{}
		for _, name := range names {
			if base := path.Base(name); base != "layout.html" {
				t := template.New(base).Funcs(functions(lang))
				all[lang][strings.TrimSuffix(base, ".html")] = template.Must(t.ParseFS(templates, "pages/layout.html", name))
			}
		}
	}
	return all
}

// functions are those of the templates. What strangers wrote is made printable: html/template
// keeps it from being markup, and this keeps it from hiding text by direction marks.
func functions(lang string) template.FuncMap {
	return template.FuncMap{
		"t":    func(text string) string { return translate(lang, text) },
		"safe": func(value any) string { return fmt.Sprint(printable.Args([]any{value})...) },
		"time": func(at time.Time) string {
			if at.IsZero() {
				return "–"
			}
			return at.UTC().Format("2006-01-02 15:04:05")
		},
		"day": func(at time.Time) string { return at.UTC().Format(time.DateOnly) },
		"iso": func(at time.Time) string { return at.UTC().Format(time.RFC3339) },
		"short": func(text string) string {
			return text[:min(len(text), 16)]
		},
		"size": size,
		"join": strings.Join,
		"list": func(words ...string) []string { return words },
		"item": func(f frame, to, text string) menuItem {
			current := f.Path == to || to != "/" && strings.HasPrefix(f.Path, to)
			return menuItem{Path: to, Text: translate(lang, text), Current: current}
		},
		"shares": func(title string, list []share) shareTable { return shareTable{title, list} },
		"may":    func(have access.Role, needed string) bool { return have.Includes(access.Role(needed)) },
	}
}

// menuItem is a line of the menu.
type menuItem struct {
	Path, Text string
	Current    bool
}

// shareTable is a table of shares.
type shareTable struct {
	Title string
	List  []share
}

// size writes a number of octets.
func size(n int) string {
	switch {
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}

// frame is what the layout shows around the data of a page.
type frame struct {
	Lang, Title, Hostname string
	Session               *access.Session
	Role                  access.Role
	CSRF                  string
	Path                  string // of the page, for the menu
	Languages             []string
	Notice                string
	Data                  any
}

// show renders a page. It is rendered as a whole before anything is sent: an error is no half
// a page.
func (v *visit) show(status int, name, title string, data any) error {
	f := frame{Lang: v.lang, Title: translate(v.lang, title), Hostname: v.Hostname, Path: v.r.URL.Path, Languages: languages, Data: data}
	if v.session != nil {
		f.Session, f.Role, f.CSRF = v.session, v.session.Role, v.session.CSRF
		f.Notice = translate(v.lang, notices[v.r.URL.Query().Get("done")])
	}
	var page bytes.Buffer
	if err := v.views[v.lang][name].ExecuteTemplate(&page, "layout.html", f); err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.Header().Set("Content-Language", v.lang)
	v.w.WriteHeader(status)
	if _, err := v.w.Write(page.Bytes()); err != nil {
		v.Log.Debug("console: client is gone", "error", err)
	}
	return nil
}

// notices are what a page says after something was done, by the word in its address: no text of
// an address is shown.
var notices = map[string]string{
	"": "", "done": "Done.", "reloaded": "The configuration was reloaded.", "imported": "The certificates were imported.",
	"recheck": "The gateway carries out the order within seconds.",
}

// redirect goes to a page of the console.
func (v *visit) redirect(to string) error {
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
	return nil
}

// errorView is a page that says why there is no other.
type errorView struct {
	Text    string
	Details []string
}

// fail answers that something was not done, and why.
func (v *visit) fail(err error) {
	code, view := http.StatusInternalServerError, errorView{}
	switch {
	case errors.Is(err, errSignIn):
		v.setCookie("")
		if v.r.Method == http.MethodGet || v.r.Method == http.MethodHead {
			http.Redirect(v.w, v.r, "/sign-in", http.StatusSeeOther)
			return
		}
		code, view.Text = http.StatusUnauthorized, err.Error()
	case errors.Is(err, errForbidden), errors.Is(err, errForm):
		code, view.Text = http.StatusForbidden, err.Error()
	case errors.Is(err, errTooLarge):
		code, view.Text = http.StatusRequestEntityTooLarge, err.Error()
	case errors.Is(err, errBadForm):
		code, view.Text = http.StatusBadRequest, err.Error()
	default:
		var known bool
		if code, view.Text, view.Details, known = api.Status(err); !known {
			v.Log.Error("console: page failed", "error", err)
		}
	}
	view.Text = translate(v.lang, view.Text)
	if err := v.show(code, "error", "Not done", view); err != nil {
		v.Log.Error("console: page failed", "error", err)
		http.Error(v.w, "the page cannot be shown; the log of the gateway says why", http.StatusInternalServerError)
	}
}
