package console

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browser is a headless Chromium.
type browser struct {
	t   *testing.T
	ctx context.Context
	g   *gateway

	mu       sync.Mutex
	problems []string // that it had with a page
}

func startBrowser(t *testing.T, g *gateway, scripts bool) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("chromium is missing: apt-get install --no-install-recommends chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.WindowSize(1280, 900), chromedp.Flag("lang", "en"))
	allocated, end := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(end)
	ctx, stop := chromedp.NewContext(allocated)
	t.Cleanup(stop)
	ctx, cancel := context.WithTimeout(ctx, 5*patience)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx, g: g}
	chromedp.ListenTarget(ctx, func(event any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch e := event.(type) {
		case *log.EventEntryAdded:
			if e.Entry.Level == log.LevelError {
				b.problems = append(b.problems, e.Entry.Text+" "+e.Entry.URL)
			}
		case *runtime.EventExceptionThrown:
			b.problems = append(b.problems, e.ExceptionDetails.Error())
		}
	})
	b.do(log.Enable(), emulation.SetScriptExecutionDisabled(!scripts))
	return b
}

func (b *browser) do(actions ...chromedp.Action) {
	b.t.Helper()
	if err := chromedp.Run(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// open loads a page, and wants it whole and without a problem.
func (b *browser) open(path, heading string) {
	b.t.Helper()
	var got string
	b.do(chromedp.Navigate(b.g.url+path), chromedp.Text("h1", &got, chromedp.ByQuery))
	if got != heading {
		b.t.Errorf("%s: heading %q, want %q", path, got, heading)
	}
	b.noProblems(path)
}

func (b *browser) noProblems(where string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.problems {
		b.t.Errorf("%s: the browser reports %s", where, p)
	}
	b.problems = nil
}

// submit presses a button, waits for the page that follows, and wants a text on it.
func (b *browser) submit(button, want string) {
	b.t.Helper()
	if _, err := chromedp.RunResponse(b.ctx, chromedp.Click(button, chromedp.ByQuery)); err != nil {
		b.t.Fatalf("%s: %v", button, err)
	}
	b.wants(want)
	b.noProblems(button)
}

// wants a text on the page.
func (b *browser) wants(want string) {
	b.t.Helper()
	var text string
	b.do(chromedp.Text("main", &text, chromedp.ByQuery))
	if !strings.Contains(text, want) {
		b.t.Errorf("no %q on the page:\n%s", want, text)
	}
}

func (b *browser) signIn() {
	b.t.Helper()
	b.open("/sign-in", "Sign in")
	b.do(set("#name", administrator), set("#password", password))
	b.submit("form[action='/sign-in'] button", "In the queue")
}

func set(field, value string) chromedp.Action {
	return chromedp.SetValue(field, value, chromedp.ByQuery)
}

// choose marks one more message of a page.
func choose() chromedp.Action {
	return chromedp.Click("input[name=id]:not(:checked)", chromedp.ByQuery)
}

func upload(field, path string) chromedp.Action {
	return chromedp.SetUploadFiles(field, []string{path}, chromedp.ByQuery)
}

// state is what a page shows after a form, where there is nothing to show, or of an error. Without a
// button it is loaded.
type state struct {
	file, path, button string
	fields             []chromedp.Action
}

// brokenCertificate is one that an import refuses.
const brokenCertificate = "-----BEGIN CERTIFICATE-----\nbm9uZQ==\n-----END CERTIFICATE-----\n"

// states are those that are no page of the menu.
func states(g *gateway) []state {
	rules := "[[rule]]\nname = \"default\"\nsign = \"never\"\nencrypt = \"never\"\n"
	return []state{
		{"looked-up", "/certificates", "form[action='/certificates/lookup'] button", []chromedp.Action{set("#address", "carol@example.com")}},
		{"explained", "/rules", "form[action='/rules/message'] button.primary", []chromedp.Action{set("#from", "alice@example.org"), set("#to", "bob@example.net, carol@example.com")}},
		{"not-explained", "/rules", "form[action='/rules/message'] button.primary", []chromedp.Action{set("#from", "alice"), set("#to", "bob@example.net")}},
		{"replayed", "/rules", "form[action='/rules/replay'] button", []chromedp.Action{set("#replay-text", rules)}},
		{"not-replayed", "/rules", "form[action='/rules/replay'] button", []chromedp.Action{set("#replay-text", "[[rule]]\nname = 7\n")}},
		{"checked", "/configuration", "form[action='/configuration/check'] button", []chromedp.Action{set("#text", "nonsense = true")}},
		{"not-imported", "/certificates", "form[action='/certificates/import'] button", []chromedp.Action{set("#pem", "nonsense")}},
		{"imported", "/certificates", "form[action='/certificates/import'] button", []chromedp.Action{set("#pem", string(g.upload)+brokenCertificate)}},
		{"nothing-chosen", "/held", "form[action='/held/release'] button:not([disabled])", nil},
		{"confirm", "/held", "button[formaction='/held/remove']", []chromedp.Action{choose(), choose(), set("#reason", "the partner has left")}},
		{"no-message", "/messages/none", "", nil},
		{"no-page", "/nonsense", "", nil},
		{"no-messages", "/messages?q=nothing@example.org", "", nil},
		{"bad-search", "/messages?since=yesterday", "", nil},
		{"more-messages", "/messages?outcome=failed", "", nil},
		{"no-queue", "/queue?recipient=nothing@example.org", "", nil},
		{"no-certificates", "/certificates?q=nothing@example.org", "", nil},
		{"no-changes", "/audit?who=stranger", "", nil},
		{"no-partners", "/partners?q=nothing.example", "", nil},
	}
}

// reach shows a state.
func (b *browser) reach(s state) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.g.url + s.path))
	if s.button != "" {
		b.do(s.fields...)
		if _, err := chromedp.RunResponse(b.ctx, chromedp.Click(s.button, chromedp.ByQuery)); err != nil {
			b.t.Fatalf("%s: %s: %v", s.file, s.button, err)
		}
	}
	b.forget()
}

// forget forgets what the browser reported: the status of a page is an error to it.
func (b *browser) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.problems = nil
}

// shownPages are all pages that can be loaded, with their headings.
func shownPages(g *gateway) []struct{ path, heading, file string } {
	return []struct{ path, heading, file string }{
		{"/", "Overview", "overview"},
		{"/messages", "Messages", "messages"},
		{"/messages/made-up-1-3", "Message", "message"},
		{"/queue", "Queue", "queue"},
		{"/held", "Held mail and quarantine", "held"},
		{"/certificates", "Certificates", "certificates"},
		{"/certificates/" + g.fingerprint, "Certificate", "certificate"},
		{"/partners", "Partners", "partners"},
		{"/partners?q=carol@example.com", "Partners", "partner"},
		{"/rules", "Rules", "rules"},
		{"/configuration", "Configuration", "configuration"},
		{"/configuration?all=1", "Configuration", "configuration-all"},
		{"/certificates/" + g.fingerprint + "?done=done", "Certificate", "done"},
		{"/audit", "Audit log", "audit"},
	}
}

// TestEachPageIsAccessible has axe-core look at each page by the rules of WCAG 2.2 AA, in both
// colour schemes, and on a telephone. With SCREENSHOTS, a folder, it keeps pictures, in German and
// without JavaScript as well.
func TestEachPageIsAccessible(t *testing.T) {
	g := startGateway(t)
	b := startBrowser(t, g, true)
	b.eachPage(axe(t), "")
	if os.Getenv("SCREENSHOTS") == "" {
		return
	}
	b.reach(state{"", "/sign-in", "button[lang=de]", nil})
	b.eachPage("", "german-")
	startBrowser(t, g, false).eachPage("", "plain-")
}

// eachPage signs in, examines each page and state, and signs out.
func (b *browser) eachPage(axe, prefix string) {
	b.t.Helper()
	b.reach(state{path: "/sign-in"})
	b.examine(prefix+"sign-in", axe)
	b.reach(state{"not-signed-in", "/sign-in", "form[action='/sign-in'] button", []chromedp.Action{set("#name", "nothing"), set("#password", "wrong")}})
	b.examine(prefix+"not-signed-in", axe)
	b.reach(state{"", "/sign-in", "form[action='/sign-in'] button", []chromedp.Action{set("#name", administrator), set("#password", password)}})
	for _, p := range shownPages(b.g) {
		b.reach(state{path: p.path})
		b.examine(prefix+p.file, axe)
	}
	for _, s := range states(b.g) {
		b.reach(s)
		b.examine(prefix+s.file, axe)
	}
	b.reach(state{"", "/", "form[action='/sign-out'] button", nil})
}

// axe is the source of axe-core.
func axe(t *testing.T) string {
	t.Helper()
	source, err := os.ReadFile("../../.cache/console/node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Fatalf("%v; run test/console/install", err)
	}
	return string(source)
}

// examine looks at the page that is open, in each form. The colours of a telephone are those of
// a window: only for a picture it is looked at in both. Without axe it only takes the pictures.
func (b *browser) examine(name, axe string) {
	b.t.Helper()
	type form struct {
		name, scheme string
		width        int64
	}
	forms := []form{{"light", "light", 1280}, {"phone", "dark", 390}}
	if os.Getenv("SCREENSHOTS") != "" {
		forms = []form{{"light", "light", 1280}, {"dark", "dark", 1280}, {"phone", "light", 390}}
	}
	if axe != "" {
		b.do(chromedp.Evaluate(axe+"; true", nil))
	}
	for _, form := range forms {
		var wide, clipped bool
		b.do(
			emulation.SetDeviceMetricsOverride(form.width, 900, 1, form.width < 500),
			emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: form.scheme}}),
			chromedp.Evaluate(`document.documentElement.scrollWidth > document.documentElement.clientWidth`, &wide),
			chromedp.Evaluate(`[...document.querySelectorAll(".scroll:has(.cards)")].some(e => e.scrollWidth > e.clientWidth)`, &clipped),
		)
		if axe != "" {
			b.violations(name + ", " + form.name)
		}
		if wide {
			b.t.Errorf("%s, %s: the page is wider than the window", name, form.name)
		}
		if clipped {
			b.t.Errorf("%s, %s: a row is wider than its card, or its table", name, form.name)
		}
		b.picture(name + "-" + form.name + ".png")
	}
}

// violations has axe-core look at the page.
func (b *browser) violations(where string) {
	b.t.Helper()
	var found string
	b.do(chromedp.Evaluate(`axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
		.then(r => JSON.stringify(r.violations.map(v => ({id: v.id, impact: v.impact, nodes: v.nodes.map(n => n.html)}))))`, &found,
		func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
	var violations []struct {
		ID, Impact string
		Nodes      []string
	}
	if err := json.Unmarshal([]byte(found), &violations); err != nil {
		b.t.Fatal(err)
	}
	for _, v := range violations {
		b.t.Errorf("%s: %s (%s): %s", where, v.ID, v.Impact, strings.Join(v.Nodes, "\n\t"))
	}
}

func (b *browser) picture(name string) {
	b.t.Helper()
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		return
	}
	var png []byte
	b.do(chromedp.FullScreenshot(&png, 100))
	b.g.must(b.t, os.MkdirAll(dir, 0o755))
	b.g.must(b.t, os.WriteFile(filepath.Join(dir, name), png, 0o644))
}
