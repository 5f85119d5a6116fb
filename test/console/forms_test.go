package console

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/pquerna/otp/totp"
)

// eachWay runs a test with JavaScript and without.
func eachWay(t *testing.T, test func(t *testing.T, g *gateway, b *browser, scripts bool)) {
	for _, scripts := range []bool{true, false} {
		t.Run(fmt.Sprintf("scripts=%t", scripts), func(t *testing.T) {
			g := startGateway(t)
			test(t, g, startBrowser(t, g, scripts), scripts)
		})
	}
}

// held marks a held message.
func held(id string) chromedp.Action {
	return chromedp.Click("input[value="+id+"]", chromedp.ByQuery)
}

// TestEachPageAndMail shows each page, finds messages, and acts on those that wait.
func TestEachPageAndMail(t *testing.T) {
	eachWay(t, func(_ *testing.T, g *gateway, b *browser, _ bool) {
		const sure = "main button.danger"
		b.signIn()
		for _, p := range shownPages(g) {
			b.open(p.path, p.heading)
		}
		b.open("/messages", "Messages")
		b.do(set("#q", "carol@example.com"), set("#outcome", "deferred"), set("#listener", "out"))
		b.submit("form[action='/messages'] button", "deferred")
		b.open("/messages", "Messages")
		b.submit("a[rel=next]", "carol@example.com")
		b.submit("td a", "Message-ID")
		b.open("/queue", "Queue")
		b.do(set("#recipient", "@example.com"))
		b.submit("form[action='/queue'] button", "2 entries")
		b.open("/queue", "Queue")
		b.do(choose(), set("#reason", "the partner asked"))
		b.submit("button[formaction='/queue/hold']", "Done.")
		b.do(choose())
		b.submit("button[formaction='/queue/release']", "Done.")
		b.do(choose())
		b.submit("form[action='/queue/retry'] button:not([disabled])", "Done.")
		b.do(choose(), choose())
		b.submit("button[formaction='/queue/remove']", "neither sender nor recipients get a report")
		b.submit(sure, "Done.")
		b.open("/held", "Held mail and quarantine")
		const ordered = "The gateway carries out the order within seconds."
		b.do(held("h1"))
		b.submit("form[action='/held/release'] button:not([disabled])", ordered)
		b.do(held("h2"), held("h3"), set("#reason", "the partner has left"))
		b.submit("button[formaction='/held/return']", ordered)
		b.do(held("h4"), set("#reason", "agreed by telephone"))
		b.submit("button[formaction='/held/release-plain']", "leave without encryption")
		b.submit(sure, ordered)
		b.do(held("h5"), held("h6"))
		b.submit("button[formaction='/held/remove']", "judy@example.net")
		b.submit(sure, ordered)
	})
}

// TestEachCertificateForm looks certificates up, imports, issues and revokes them, and overrides trust.
func TestEachCertificateForm(t *testing.T) {
	eachWay(t, func(t *testing.T, g *gateway, b *browser, _ bool) {
		b.signIn()
		certificate := "/certificates/" + g.fingerprint
		b.open(certificate, "Certificate")
		b.do(set("#note", "laptop stolen"))
		b.submit("form[action='"+certificate+"/block'] button.danger", "blocked")
		b.do(set("#note", "known by telephone"), set("#until", time.Now().AddDate(1, 0, 0).Format(time.DateOnly)))
		b.submit("button[formaction='"+certificate+"/allow']", "known by telephone, until")
		b.open("/certificates?mark=allowed", "Certificates")
		b.submit("td a", "Trust override")
		b.submit("form[action='"+certificate+"/clear'] button", "Done.")
		b.open("/certificates", "Certificates")
		b.do(set("#q", "dave@example.com"), set("#origin", "harvested"))
		b.submit("form[action='/certificates'] button", "1 entry")
		b.open("/certificates", "Certificates")
		b.do(set("#address", "carol@example.com"))
		b.submit("form[action='/certificates/lookup'] button", "Directories: carol@example.com")
		b.open("/certificates", "Certificates")
		b.do(upload("#file", g.file(t, "grace.pem", string(g.upload))))
		b.submit("form[action='/certificates/import'] button", "New: 1")
		b.open("/certificates", "Certificates")
		b.do(set("#issue", "alice@example.org"))
		b.submit("form[action='/certificates/issue'] button", "Done.")
		b.submit("form[action$='/pin'] button", "pinned")
		b.submit("form[action$='/unpin'] button", "Sign with this identity")
		b.do(set("#revocation", "superseded"))
		b.submit("form[action$='/revoke'] button", "revoked")
		b.open("/partners", "Partners")
		b.do(set("#q", "partner.example"))
		b.submit("form[action='/partners'] button", "erin@partner.example")
		b.submit("td a", "Agreements")
	})
}

// TestEachFormOfRules explains, replays, checks and reloads, by text and by file.
func TestEachFormOfRules(t *testing.T) {
	const rules = "[[rule]]\nname = \"default\"\nsign = \"never\"\nencrypt = \"never\"\n"
	eachWay(t, func(t *testing.T, g *gateway, b *browser, _ bool) {
		b.signIn()
		b.open("/rules", "Rules")
		people := []chromedp.Action{set("#from", "alice@example.org"), set("#to", "bob@example.net")}
		const explain = "form[action='/rules/message'] button.primary"
		b.do(people...)
		b.submit(explain, "held")
		b.do(append(people, set("#message", "From: alice@example.org\n\nHello.\n"))...)
		b.submit(explain, "held")
		b.do(append(people, upload("#file", g.file(t, "message.eml", "From: alice@example.org\n\nHello.\n")))...)
		b.submit(explain, "held")
		b.do(set("#replay-text", rules))
		b.submit("form[action='/rules/replay'] button", "treated as they were")
		b.open("/rules", "Rules")
		b.do(upload("#replay-file", g.file(t, "new.toml", rules)))
		b.submit("form[action='/rules/replay'] button", "treated as they were")
		b.open("/rules", "Rules")
		b.submit(".rules a", "bob@example.net")
		b.open("/configuration", "Configuration")
		b.do(set("#text", "nonsense = true"))
		b.submit("form[action='/configuration/check'] button", "unknown key")
		b.open("/configuration", "Configuration")
		b.do(upload("#file", g.file(t, "checked.toml", "other = true")))
		b.submit("form[action='/configuration/check'] button", "other")
		b.submit("form[action='/configuration/reload'] button", "The configuration was reloaded.")
		b.open("/audit", "Audit log")
		b.wants("configuration.reload")
	})
}

// TestSignInInABrowser signs in with a one-time code, which counts once, to the page that was asked
// for. A viewer has no button that acts.
func TestSignInInABrowser(t *testing.T) {
	eachWay(t, func(t *testing.T, _ *gateway, b *browser, _ bool) {
		signIn := func(code, want string) {
			t.Helper()
			b.do(set("#name", careful), set("#password", password))
			if code != "" {
				b.do(set("#code", code))
			}
			if _, err := chromedp.RunResponse(b.ctx, chromedp.Click("form[action='/sign-in'] button", chromedp.ByQuery)); err != nil {
				t.Fatal(err)
			}
			b.wants(want)
			b.forget()
		}
		code := must(totp.GenerateCode(totpSecret, time.Now()))
		b.reach(state{path: "/held"})
		signIn("", "one-time code is wrong")
		signIn(code, "Held mail and quarantine")
		var buttons int
		b.do(chromedp.Evaluate(`document.querySelectorAll("main button").length`, &buttons))
		if buttons != 0 {
			t.Errorf("a viewer has %d buttons", buttons)
		}
		b.submit("button[lang=de]", "heidi@example.net") // the same page, in German
		b.submit("form[action='/sign-out'] button", "Einmalcode")
		b.submit("button[lang=en]", "One-time code")
		signIn(code, "one-time code is wrong")
	})
}

// TestEnterActsOnNothing: who writes a reason and presses Enter has not said what is to be done.
func TestEnterActsOnNothing(t *testing.T) {
	g := startGateway(t)
	b := startBrowser(t, g, true)
	b.signIn()
	for path, field := range map[string]string{"/held": "#reason", "/queue": "#reason", "/certificates/" + g.fingerprint: "#note"} {
		b.reach(state{path: path})
		var sent int
		b.do(
			chromedp.Evaluate(`sent = 0; addEventListener("submit", e => { sent++; e.preventDefault(); })`, nil),
			chromedp.SendKeys(field, "a reason"+kb.Enter, chromedp.ByQuery),
			chromedp.Evaluate(`sent`, &sent),
		)
		if sent != 0 {
			t.Errorf("%s: Enter sent the form", path)
		}
	}
}

// TestSearchAsOneTypes: what a search finds is shown and counted without a button.
func TestSearchAsOneTypes(t *testing.T) {
	b := startBrowser(t, startGateway(t), true)
	b.signIn()
	for _, c := range []struct{ path, heading, field, text string }{
		{"/messages", "Messages", "#q", "nothing@example.org"}, {"/queue", "Queue", "#recipient", "nothing@example.org"},
		{"/certificates", "Certificates", "#q", "nothing@example.org"}, {"/partners", "Partners", "#q", "nothing.example"},
	} {
		b.open(c.path, c.heading)
		b.do(chromedp.SendKeys(c.field, c.text, chromedp.ByQuery))
		ctx, cancel := context.WithTimeout(b.ctx, patience/2)
		if err := chromedp.Run(ctx, chromedp.WaitNotPresent("#found table", chromedp.ByQuery)); err != nil {
			t.Errorf("%s: %v", c.path, err)
		}
		cancel()
		b.wants("Nothing found.")
		b.noProblems(c.path)
	}
}
