package console

import (
	"context"
	"encoding/json"
	"fmt"
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
	var text string
	if _, err := chromedp.RunResponse(b.ctx, chromedp.Click(button, chromedp.ByQuery)); err != nil {
		b.t.Fatalf("%s: %v", button, err)
	}
	b.do(chromedp.Text("main", &text, chromedp.ByQuery))
	if !strings.Contains(text, want) {
		b.t.Errorf("%s: no %q on the page:\n%s", button, want, text)
	}
	b.noProblems(button)
}

func (b *browser) signIn() {
	b.t.Helper()
	b.open("/sign-in", "Sign in")
	b.do(chromedp.SetValue("#name", administrator, chromedp.ByQuery), chromedp.SetValue("#password", password, chromedp.ByQuery))
	b.submit("form[action='/sign-in'] button", "In the queue")
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
		{"/audit", "Audit log", "audit"},
	}
}

// TestEachForm uses each form of the console, with JavaScript and without.
func TestEachForm(t *testing.T) {
	for _, scripts := range []bool{true, false} {
		t.Run(fmt.Sprintf("scripts=%t", scripts), func(t *testing.T) {
			g := startGateway(t)
			b := startBrowser(t, g, scripts)
			b.signIn()
			for _, p := range shownPages(g) {
				b.open(p.path, p.heading)
			}
			b.open("/queue", "Queue")
			b.do(chromedp.Click("input[name=id]", chromedp.ByQuery))
			b.submit("button[formaction='/queue/hold']", "Done.")
			b.do(chromedp.Click("input[name=id]", chromedp.ByQuery))
			b.submit("button[formaction='/queue/release']", "Done.")
			b.do(chromedp.Click("input[name=id]", chromedp.ByQuery))
			b.submit("button[formaction='/queue/remove']", "Done.")
			b.open("/held", "Held mail and quarantine")
			b.do(chromedp.Click("input[name=id]", chromedp.ByQuery), chromedp.SetValue("#reason", "the partner has left", chromedp.ByQuery))
			b.submit("button[formaction='/held/return']", "The gateway carries out the order within seconds.")

			certificate := "/certificates/" + g.fingerprint
			b.open(certificate, "Certificate")
			b.do(chromedp.SetValue("#note", "laptop stolen", chromedp.ByQuery))
			b.submit("form[action='"+certificate+"/block'] button.danger", "blocked")
			b.submit("form[action='"+certificate+"/clear'] button", "Done.")
			b.open("/certificates", "Certificates")
			b.do(chromedp.SetValue("#address", "carol@example.com", chromedp.ByQuery))
			b.submit("form[action='/certificates/lookup'] button", "Directories: carol@example.com")

			b.open("/rules", "Rules")
			b.do(chromedp.SetValue("#from", "alice@example.org", chromedp.ByQuery), chromedp.SetValue("#to", "bob@example.net", chromedp.ByQuery))
			b.submit("form[action='/rules/message'] button.primary", "held")
			b.do(chromedp.SetValue("#replay-text", "[[rule]]\nname = \"default\"\nsign = \"never\"\nencrypt = \"never\"\n", chromedp.ByQuery))
			b.submit("form[action='/rules/replay'] button", "treated as they were")
			b.open("/configuration", "Configuration")
			b.do(chromedp.SetValue("#text", "nonsense = true", chromedp.ByQuery))
			b.submit("form[action='/configuration/check'] button", "unknown key")
			b.submit("form[action='/configuration/reload'] button", "The configuration was reloaded.")
			b.open("/audit", "Audit log")

			b.submit("button[lang=de]", "In der Warteschlange")
			b.open("/held", "Angehaltene Mail und Quarantäne")
			b.submit("form[action='/sign-out'] button", "Passwort")
		})
	}
}

// TestEachPageIsAccessible has axe-core look at each page by the rules of WCAG 2.2 AA, in both
// colour schemes, and on a telephone. With SCREENSHOTS, a folder, it keeps pictures.
func TestEachPageIsAccessible(t *testing.T) {
	source := axe(t)
	g := startGateway(t)
	b := startBrowser(t, g, true)
	b.open("/sign-in", "Sign in")
	b.examine("sign-in", source)
	b.signIn()
	for _, p := range shownPages(g) {
		b.open(p.path, p.heading)
		b.examine(p.file, source)
	}
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
// a window: only for a picture it is looked at in both.
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
	b.do(chromedp.Evaluate(axe+"; true", nil))
	for _, form := range forms {
		var wide bool
		var found string
		b.do(
			emulation.SetDeviceMetricsOverride(form.width, 900, 1, form.width < 500),
			emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: form.scheme}}),
			chromedp.Evaluate(`axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
				.then(r => JSON.stringify(r.violations.map(v => ({id: v.id, impact: v.impact, nodes: v.nodes.map(n => n.html)}))))`, &found,
				func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }),
			chromedp.Evaluate(`document.documentElement.scrollWidth > document.documentElement.clientWidth`, &wide),
		)
		var violations []struct {
			ID, Impact string
			Nodes      []string
		}
		if err := json.Unmarshal([]byte(found), &violations); err != nil {
			b.t.Fatal(err)
		}
		for _, v := range violations {
			b.t.Errorf("%s, %s: %s (%s): %s", name, form.name, v.ID, v.Impact, strings.Join(v.Nodes, "\n\t"))
		}
		if wide {
			b.t.Errorf("%s, %s: the page is wider than the window", name, form.name)
		}
		b.picture(name + "-" + form.name + ".png")
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
