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
	"reflect"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/console/api"
	"github.com/smimerelay/smimerelay/history"
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
	f := formats[lang]
	return template.FuncMap{
		"t":      func(text any) string { return translate(lang, fmt.Sprint(text)) },
		"say":    func(text any) template.HTML { return say(lang, fmt.Sprint(text)) },
		"safe":   safe,
		"time":   in(f.moment),
		"hour":   in(f.hour),
		"clock":  in("15:04"),
		"day":    in(f.day),
		"month":  in(f.month),
		"iso":    func(at time.Time) string { return at.UTC().Format(time.RFC3339) },
		"number": f.number,
		"tenths": f.tenths,
		"took":   f.milliseconds,
		"short": func(text string) string {
			return text[:min(len(text), 16)]
		},
		"size":        func(n any) string { return f.size(reflect.ValueOf(n).Int()) },
		"join":        strings.Join,
		"firstEvents": func() int { return history.FirstEvents },
		"words":       func(text string) []string { return strings.Split(text, ", ") },
		"list":        func(words ...string) []string { return words },
		"item": func(f frame, to, text string) menuItem {
			current := f.Path == to || to != "/" && strings.HasPrefix(f.Path, to)
			return menuItem{Path: to, Text: translate(lang, text), Current: current}
		},
		"shares": func(title string, list []share) shareTable { return shareTable{title, list} },
		"hits":   func(list []ruleView, counted bool) ruleList { return ruleList{list, counted} },
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

// safe makes a text printable.
func safe(value any) string { return fmt.Sprint(printable.Args([]any{value})...) }

// say is a text of the gateway in a language, or in English, which it then says that it is: a
// screen reader pronounces it so.
func say(lang, text string) template.HTML {
	translated, known := translation(lang, text)
	shown := template.HTMLEscapeString(safe(translated))
	if known {
		return template.HTML(shown) //nolint:gosec // escaped
	}
	return template.HTML(`<span lang="en">` + shown + `</span>`) //nolint:gosec // escaped
}

// frame is what the layout shows around the data of a page.
type frame struct {
	Lang, Title, Hostname string
	Session               *access.Session
	Role                  access.Role
	CSRF                  string
	Path                  string // of the page, for the menu
	Here                  string // the address of the page, or of the one whose form this answers
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
	if f.Here = f.Back().Path; v.r.Method == http.MethodGet {
		f.Here = v.here()
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
	"": "", "done": "Done.", "reloaded": "The configuration was reloaded.",
	"recheck": "The gateway carries out the order within seconds.",
}

// redirect goes to a page of the console.
func (v *visit) redirect(to string) error {
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
	return nil
}

// errorView is a page that says why there is no other.
type errorView struct {
	Text    template.HTML
	Details []template.HTML
}

// Back is the page of the menu from which a form came that could not be used, with its name.
func (f frame) Back() menuItem {
	section, _, _ := strings.Cut(strings.TrimPrefix(f.Path, "/"), "/")
	if name := sections[section]; name != "" && f.Session != nil {
		return menuItem{Path: "/" + section, Text: translate(f.Lang, name)}
	}
	return menuItem{Path: "/", Text: translate(f.Lang, "Overview")}
}

// sections are the names of the pages of the menu by the first part of their address.
var sections = map[string]string{
	"messages": "Messages", "queue": "Queue", "held": "Held mail", "certificates": "Certificates", "partners": "Partners", "rules": "Rules",
	"configuration": "Configuration", "audit": "Audit log",
}

// sayAll is say for each of some texts.
func sayAll(lang string, texts []string) (all []template.HTML) {
	for _, text := range texts {
		all = append(all, say(lang, text))
	}
	return all
}

// fail answers that something was not done, and why.
func (v *visit) fail(err error) {
	code := http.StatusInternalServerError
	var text string
	var details []string
	switch {
	case errors.Is(err, errSignIn):
		if v.r.Method == http.MethodGet || v.r.Method == http.MethodHead {
			v.askToSignIn()
			return
		}
		code, text = http.StatusUnauthorized, err.Error()
	case errors.Is(err, errNoPage):
		code, text = http.StatusNotFound, err.Error()
	case errors.Is(err, errMethod):
		code, text = http.StatusMethodNotAllowed, err.Error()
	case errors.Is(err, errForbidden), errors.Is(err, errForm), errors.Is(err, errOrigin):
		code, text = http.StatusForbidden, err.Error()
	case errors.Is(err, errTooLarge):
		code, text = http.StatusRequestEntityTooLarge, err.Error()
	case errors.Is(err, errBadForm):
		code, text = http.StatusBadRequest, err.Error()
	default:
		var known bool
		if code, text, details, known = api.Status(err); !known {
			v.Log.Error("console: page failed", "error", err)
		}
	}
	title := "Not done"
	if code == http.StatusNotFound && v.r.Method == http.MethodGet {
		title = "Not found"
	}
	if err := v.show(code, "error", title, errorView{say(v.lang, text), sayAll(v.lang, details)}); err != nil {
		v.Log.Error("console: page failed", "error", err)
		http.Error(v.w, "the page cannot be shown; the log of the gateway says why", http.StatusInternalServerError)
	}
}
