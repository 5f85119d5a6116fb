package console

import (
	"fmt"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/smimerelay/smimerelay/internal/testing/oidctest"
)

// TestOpenIDInABrowser signs in by an OpenID Connect provider and out again, with JavaScript and
// without. The browser decides by its own rules which cookies it shows on the way back.
func TestOpenIDInABrowser(t *testing.T) {
	provider := oidctest.Start()
	t.Cleanup(provider.Close)
	provider.Page = true
	provider.SignIn(map[string]any{"email": "erin@example.org", "email_verified": true, "groups": []string{"postmasters"}})
	// The address of the console has to be known before its port is.
	var target *url.URL
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
	}})
	t.Cleanup(proxy.Close)
	g := startGatewayWith(t, func(dir, text string) string {
		secret := filepath.Join(dir, "client.secret")
		if err := os.WriteFile(secret, []byte(oidctest.Secret), 0o600); err != nil {
			t.Fatal(err)
		}
		// Another site than that of the provider, which is 127.0.0.1.
		text = strings.Replace(text, "[console]\n", fmt.Sprintf("[console]\nurl = %q\n", strings.Replace(proxy.URL, "127.0.0.1", "localhost", 1)), 1)
		return text + fmt.Sprintf("[openid]\nissuer = %q\nclient_id = %q\nclient_secret_file = %q\nadministrator = [\"postmasters\"]\n", provider.URL, oidctest.Client, secret)
	})
	target = must(url.Parse(g.url))
	g.url = strings.Replace(proxy.URL, "127.0.0.1", "localhost", 1)
	for _, scripts := range []bool{true, false} {
		t.Run(fmt.Sprintf("scripts=%t", scripts), func(t *testing.T) {
			b := startBrowser(t, g, scripts)
			b.open("/messages?outcome=held", "Sign in")
			if scripts {
				b.examine("sign-in-openid", axe(t))
			}
			b.do(chromedp.Click("a[href^='/sign-in/openid']", chromedp.ByQuery), chromedp.WaitVisible("#go", chromedp.ByQuery))
			b.do(chromedp.Click("#go", chromedp.ByQuery), chromedp.WaitVisible("form[action='/sign-out']", chromedp.ByQuery))
			var heading, who string
			b.do(chromedp.WaitVisible("nav", chromedp.ByQuery), chromedp.Text("h1", &heading, chromedp.ByQuery), chromedp.Text(".who", &who, chromedp.ByQuery))
			if heading != "Messages" || who != "erin@example.org (administrator)" {
				t.Errorf("%q, %q", heading, who)
			}
			b.open("/audit", "Audit log")
			b.submit("form[action='/sign-out'] button", "Sign out there, too")
			b.do(chromedp.Click("a[href*='/end?']", chromedp.ByQuery), chromedp.WaitReady("title", chromedp.ByQuery))
			b.open("/messages", "Sign in")
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
