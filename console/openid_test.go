package console

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/console/openid"
	"github.com/smimerelay/smimerelay/internal/testing/oidctest"
)

// signedUp is a console with a provider, over real HTTP.
type signedUp struct {
	t        *testing.T
	provider *oidctest.Provider
	console  *Console
	url      string
	ahead    atomic.Int64 // of the clock
	log      interface{ String() string }
	off      atomic.Bool // the configuration has no provider any more
	cfg      openid.Config
	current  atomic.Pointer[openid.Provider]
}

func startOpenID(t *testing.T, change ...func(*openid.Config)) *signedUp {
	t.Helper()
	u := &signedUp{t: t, provider: oidctest.Start()}
	t.Cleanup(u.provider.Close)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { u.console.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	u.url = server.URL
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(oidctest.Secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := openid.Config{
		Issuer: u.provider.URL, ClientID: oidctest.Client, SecretFile: secret, Redirect: server.URL + "/sign-in/openid/callback", Scopes: []string{"email"},
		NameClaim: "email", RoleClaim: "realm_access.roles", Clock: func() time.Time { return time.Now().Add(time.Duration(u.ahead.Load())) },
		Roles: map[access.Role][]string{access.Viewer: {"staff"}, access.Operator: {"mail"}, access.Administrator: {"mail-admins"}},
	}
	for _, change := range change {
		change(&cfg)
	}
	u.cfg = cfg
	u.reload()
	u.console, u.log = open(t, Config{OpenID: func() *openid.Provider {
		if u.off.Load() {
			return nil
		}
		return u.current.Load()
	}})
	return u
}

// reload makes a new Provider, as a reload of the configuration does.
func (u *signedUp) reload() {
	u.t.Helper()
	p, err := openid.New(u.cfg)
	if err != nil {
		u.t.Fatal(err)
	}
	u.t.Cleanup(func() { _ = p.Close() })
	u.current.Store(p)
}

// alice is who signs in, with words that give roles.
func alice(roles ...string) map[string]any {
	return map[string]any{"email": "Alice@example.org", "email_verified": true, "realm_access": map[string]any{"roles": roles}}
}

// browser is a client that keeps cookies. It does not know what a page leads on to.
func (u *signedUp) browser() *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		u.t.Fatal(err)
	}
	return &http.Client{Jar: jar}
}

// get returns what a browser gets.
func (u *signedUp) get(b *http.Client, at string) (int, string) {
	u.t.Helper()
	resp, err := b.Get(at)
	if err != nil {
		u.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		u.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// name returns who is signed in in a browser, and as what; "" is no one.
func (u *signedUp) name(b *http.Client) string {
	u.t.Helper()
	_, page := u.get(b, u.url+"/audit") // a page that needs no gateway
	_, who, ok := strings.Cut(page, `<span class="who">`)
	if who, _, _ = strings.Cut(who, "<"); !ok {
		return ""
	}
	return who
}

// begin goes to the provider and stops there: it returns where that would send the browser back to.
func (u *signedUp) begin(b *http.Client) string {
	u.t.Helper()
	back := ""
	stopping := *b
	stopping.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), u.url) {
			back = r.URL.String()
			return http.ErrUseLastResponse
		}
		return nil
	}
	if code, page := u.get(&stopping, u.url+"/sign-in/openid"); back == "" {
		u.t.Fatalf("%d %s", code, page)
	}
	return back
}

func TestOpenIDSignIn(t *testing.T) {
	u := startOpenID(t)
	b := u.browser()
	if _, page := u.get(b, u.url+"/sign-in"); !strings.Contains(page, `href="/sign-in/openid"`) {
		t.Errorf("no way to the provider: %s", page)
	}
	for _, c := range []struct {
		roles []string
		want  string
	}{
		{[]string{"staff"}, "alice@example.org (viewer)"},
		{[]string{"other", "mail", "staff"}, "alice@example.org (operator)"},
		{[]string{"mail-admins", "staff"}, "alice@example.org (administrator)"},
	} {
		u.provider.SignIn(alice(c.roles...))
		code, page := u.get(b, u.url+"/sign-in/openid")
		if code != http.StatusOK || !strings.Contains(page, `content="0;url=/"`) || u.name(b) != c.want {
			t.Errorf("%v: %d %q\n%s", c.roles, code, u.name(b), page)
		}
	}
	// A key that the provider has had for a minute.
	u.provider.Rotate()
	if u.get(b, u.url+"/sign-in/openid"); u.name(b) == "" {
		t.Error("not with a rotated key")
	}
	entries, err := u.console.Access.Audit(t.Context(), access.AuditQuery{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	var begun int
	for _, e := range entries {
		if e.Action == "session.begin" && e.Actor.Via == "openid" && e.Actor.Name == "alice@example.org" && e.Actor.From == "127.0.0.1" {
			begun++
		}
	}
	if begun != 4 {
		t.Errorf("%d sign-ins are in the audit log: %+v", begun, entries)
	}
	// Who has lost all roles is out of all browsers.
	u.provider.SignIn(alice("other"))
	other := u.browser()
	if code, page := u.get(other, u.url+"/sign-in/openid"); code != http.StatusForbidden || !strings.Contains(page, access.ErrNoRole.Error()) || u.name(other) != "" || u.name(b) != "" {
		t.Errorf("%d %q %q\n%s", code, u.name(other), u.name(b), page)
	}
	// So is one whose provider the configuration no longer has.
	u.provider.SignIn(alice("staff"))
	if u.get(b, u.url+"/sign-in/openid"); u.name(b) == "" {
		t.Fatal("not signed in")
	}
	u.off.Store(true)
	if name := u.name(b); name != "" {
		t.Errorf("%s goes on without a provider", name)
	}
}

// TestOpenIDLeadsBack: a sign-in leads to the page that was asked for, also after one that failed, and
// to no place that is not a page of the console.
func TestOpenIDLeadsBack(t *testing.T) {
	u := startOpenID(t)
	for to, want := range map[string]string{
		"/messages?q=a%40example.org&outcome=held": "/messages?q=a%40example.org&amp;outcome=held",
		"/audit": "/audit", "": "/", "//evil.example": "/", `/\evil.example`: "/", "https://evil.example/": "/", "/sign-in/openid": "/", "/sign-in?to=/audit": "/",
		"/%2fevil.example": "/", "/audit?" + strings.Repeat("x", 5000): "/", "/audit?a=~b;c": "/audit?a=~b;c",
	} {
		b := u.browser()
		q := "?" + url.Values{"to": {to}}.Encode()
		if _, page := u.get(b, u.url+"/sign-in"+q); to != "" && !strings.Contains(page, `href="/sign-in/openid?to=`) {
			t.Errorf("%.50q: %s", to, page)
		}
		u.provider.SignIn(alice("other"))
		if _, page := u.get(b, u.url+"/sign-in/openid"+q); !strings.Contains(page, `name="to" value="`+want+`"`) {
			t.Errorf("after a refusal, %.50q: no %q in %s", to, want, page)
		}
		u.provider.SignIn(alice("staff"))
		code, page := u.get(b, u.url+"/sign-in/openid"+q)
		if code != http.StatusOK || !strings.Contains(page, `content="0;url=`+want+`"`) || u.name(b) == "" {
			t.Errorf("%.50q: %d, no %q in %s", to, code, want, page)
		}
	}
	// What a browser brings in the cookie is no place either.
	b := u.browser()
	u.provider.SignIn(alice("staff"))
	back := u.begin(b)
	place, err := url.Parse(u.url)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range b.Jar.Cookies(place) {
		if c.Name == openIDCookie {
			b.Jar.SetCookies(place, []*http.Cookie{{Name: c.Name, Path: "/", Value: withTo(c.Value, "//evil.example/")}})
		}
	}
	if _, page := u.get(b, back); !strings.Contains(page, `content="0;url=/"`) {
		t.Error(page)
	}
}

// TestOpenIDAttacks: no token that is not of the provider, for this client, this browser and this
// sign-in lets anyone in.
func TestOpenIDAttacks(t *testing.T) {
	u := startOpenID(t)
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	if err := u.console.Access.AddUser(t.Context(), access.Actor{Name: "root"}, "local", access.Administrator, "correct horse battery"); err != nil {
		t.Fatal(err)
	}
	change := func(name string, value any) func(map[string]any, *oidctest.Provider) string {
		return func(c map[string]any, p *oidctest.Provider) string {
			if c[name] = value; value == nil {
				delete(c, name)
			}
			return p.Sign(c)
		}
	}
	for name, forge := range map[string]func(map[string]any, *oidctest.Provider) string{
		"no token":             func(map[string]any, *oidctest.Provider) string { return "" },
		"wrong issuer":         change("iss", "https://login.example.net"),
		"wrong audience":       change("aud", "mail-reader"),
		"no audience":          change("aud", nil),
		"several audiences":    change("aud", []string{oidctest.Client, "mail-reader"}),
		"for another party":    change("azp", "mail-reader"),
		"wrong nonce":          change("nonce", "of another sign-in"),
		"no nonce":             change("nonce", nil),
		"expired":              change("exp", time.Now().Add(-time.Second).Unix()),
		"without an end":       change("exp", nil),
		"not yet valid":        change("nbf", time.Now().Add(time.Hour).Unix()),
		"no subject":           change("sub", ""),
		"access token swapped": change("at_hash", "AAAAAAAAAAAAAAAAAAAAAA"),
		"alg none":             func(c map[string]any, p *oidctest.Provider) string { return p.Unsigned(c) },
		"HS256":                func(c map[string]any, p *oidctest.Provider) string { return p.SignByPublicKey(c) },
		"key of another":       func(c map[string]any, p *oidctest.Provider) string { return p.SignBy(stranger, c) },
		"e-mail not verified":  change("email_verified", false),
		"e-mail not said":      change("email_verified", nil),
		"no e-mail":            change("email", nil),
		"no role":              change("realm_access", nil),
		"role of another form": change("realm_access", []any{"mail-admins"}),
		"name of an account":   change("email", "local"),
		"name that is none":    change("email", "a b<script>"),
	} {
		t.Run(name, func(t *testing.T) {
			u.provider.SignIn(alice("mail-admins"))
			u.provider.Forge(forge)
			b := u.browser()
			code, page := u.get(b, u.url+"/sign-in/openid")
			if code != http.StatusForbidden || !strings.Contains(page, `role="alert"`) || u.name(b) != "" {
				t.Errorf("%d, as %q\n%s", code, u.name(b), page)
			}
		})
	}
	u.provider.SignIn(alice("mail-admins"))
	b := u.browser()
	if u.get(b, u.url+"/sign-in/openid"); u.name(b) == "" {
		t.Fatal("and a good token does not either")
	}
}

// TestOpenIDRoleByAddress: an address that the provider has not verified gives no role, as it
// gives no name.
func TestOpenIDRoleByAddress(t *testing.T) {
	u := startOpenID(t, func(c *openid.Config) {
		c.NameClaim, c.RoleClaim = "preferred_username", "email"
		c.Roles = map[access.Role][]string{access.Administrator: {"alice@example.org"}}
	})
	for _, verified := range []bool{false, true} {
		u.provider.SignIn(map[string]any{"preferred_username": "mallory", "email": "alice@example.org", "email_verified": verified})
		b := u.browser()
		if u.get(b, u.url+"/sign-in/openid"); (u.name(b) != "") != verified {
			t.Errorf("email_verified %v: signed in as %q", verified, u.name(b))
		}
	}
}

// TestOpenIDBrowser: what the provider sends back counts in the browser that went there, once, and
// for some minutes.
func TestOpenIDBrowser(t *testing.T) {
	u := startOpenID(t)
	u.provider.SignIn(alice("staff"))
	u.provider.Reuse = true // it is not its merit that an answer counts once
	refused := func(what string, b *http.Client, at, why string) {
		t.Helper()
		if code, page := u.get(b, at); code != http.StatusForbidden || !strings.Contains(page, why) || u.name(b) != "" {
			t.Errorf("%s: %d, as %q\n%s", what, code, u.name(b), page)
		}
	}
	const notBegun, used, notProven, denied = "was not begun in this browser", "was used already", "did not confirm who you are", "refused the sign-in"
	attacker, victim := u.browser(), u.browser()
	planted := u.begin(attacker)
	refused("the way back of another browser", victim, planted, notBegun)
	u.begin(victim)
	refused("the way back of another browser, while one was begun", victim, planted, notBegun)

	b := u.browser()
	back := u.begin(b)
	place, err := url.Parse(u.url)
	if err != nil {
		t.Fatal(err)
	}
	cookies := b.Jar.Cookies(place)
	if u.get(b, back); u.name(b) == "" {
		t.Fatal("not signed in")
	}
	for _, c := range b.Jar.Cookies(place) {
		if c.Name == openIDCookie {
			t.Errorf("the browser keeps %v", c)
		}
	}
	// The same answer again, also in a browser to which the cookie was given again.
	again := u.browser()
	refused("without a cookie", again, back, notBegun)
	again.Jar.SetCookies(place, cookies)
	refused("again", again, back, used)
	// A code of another sign-in, as of an attacker: it needs the verifier of that one.
	injected := u.browser()
	q := mustQuery(t, u.begin(injected))
	q.Set("code", mustQuery(t, planted).Get("code"))
	refused("the code of another browser", injected, u.url+"/sign-in/openid/callback?"+q.Encode(), notProven)

	late := u.browser()
	back = u.begin(late)
	u.ahead.Store(int64(openid.Lifetime))
	refused("too late", late, back, notBegun)
	u.ahead.Store(0)

	for _, c := range []struct {
		name, why string
		change    func(url.Values)
	}{
		{"no code", denied, func(q url.Values) { q.Del("code") }},
		{"no state", notBegun, func(q url.Values) { q.Del("state") }},
		{"another state", notBegun, func(q url.Values) { q.Set("state", "x") }},
		{"another issuer", notProven, func(q url.Values) { q.Set("iss", "https://login.example.net") }},
		{"an error", denied, func(q url.Values) { q.Set("error", "access_denied") }},
	} {
		b := u.browser()
		q := mustQuery(t, u.begin(b))
		c.change(q)
		refused(c.name, b, u.url+"/sign-in/openid/callback?"+q.Encode(), c.why)
	}
}

func mustQuery(t *testing.T, at string) url.Values {
	t.Helper()
	v, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	return v.Query()
}

// TestOpenIDLeadsNowhereElse: no parameter sends a browser elsewhere than to the provider, and
// from there to the console.
func TestOpenIDLeadsNowhereElse(t *testing.T) {
	u := startOpenID(t)
	u.provider.SignIn(alice("staff"))
	const evil = "?next=https://evil.example&redirect_uri=https://evil.example&return=//evil.example&rd=/\\evil.example"
	b := u.browser()
	var hosts []string
	b.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		hosts = append(hosts, r.URL.Host)
		if at := r.URL.Query().Get("redirect_uri"); at != "" && at != u.url+"/sign-in/openid/callback" {
			t.Errorf("the provider sends back to %q", at)
		}
		return nil
	}
	_, page := u.get(b, u.url+"/sign-in/openid"+evil)
	for _, host := range hosts {
		if host != strings.TrimPrefix(u.url, "http://") && host != strings.TrimPrefix(u.provider.URL, "http://") {
			t.Errorf("sent to %q", host)
		}
	}
	if strings.Contains(page, "evil") || u.name(b) == "" {
		t.Errorf("%s", page)
	}
	b = u.browser()
	if _, page := u.get(b, u.begin(b)+"&"+evil[1:]); strings.Contains(page, "evil") || u.name(b) == "" {
		t.Errorf("%s", page)
	}
}

// TestOpenIDOutage: while the provider is down, local accounts sign in, and it is asked again.
func TestOpenIDOutage(t *testing.T) {
	u := startOpenID(t)
	u.provider.SignIn(alice("staff"))
	u.provider.Down(true)
	if err := u.console.Access.AddUser(t.Context(), access.Actor{Name: "root"}, "local", access.Viewer, "correct horse battery"); err != nil {
		t.Fatal(err)
	}
	b := u.browser()
	code, page := u.get(b, u.url+"/sign-in/openid")
	if code != http.StatusServiceUnavailable || !strings.Contains(page, openid.Unavailable) || !strings.Contains(page, `name="password"`) {
		t.Errorf("%d %s", code, page)
	}
	b.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := b.PostForm(u.url+"/sign-in", url.Values{"name": {"local"}, "password": {"correct horse battery"}})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if name := u.name(b); name != "local (viewer)" {
		t.Errorf("signed in as %q", name)
	}
	u.provider.Down(false)
	other := u.browser()
	if u.get(other, u.url+"/sign-in/openid"); u.name(other) == "" {
		t.Error("not after the outage")
	}
	// One that was asked before can be down while the browser is there.
	back := u.begin(other)
	u.provider.Down(true)
	if code, _ := u.get(other, back); code != http.StatusForbidden {
		t.Errorf("%d", code)
	}
	if !strings.Contains(u.log.String(), "token endpoint: 503") {
		t.Errorf("%s", u.log)
	}
}

// TestOpenIDSignOut: the session ends here, and the page says where that at the provider ends, also
// where the configuration was reloaded since.
func TestOpenIDSignOut(t *testing.T) {
	for _, reload := range []bool{false, true} {
		t.Run(fmt.Sprintf("reload=%t", reload), func(t *testing.T) { testOpenIDSignOut(t, reload) })
	}
}

func testOpenIDSignOut(t *testing.T, reload bool) {
	u := startOpenID(t)
	u.provider.SignIn(alice("staff"))
	b := u.browser()
	u.get(b, u.url+"/sign-in/openid")
	if reload {
		u.reload()
	}
	_, page := u.get(b, u.url+"/audit")
	_, csrf, _ := strings.Cut(page, `name="csrf" value="`)
	csrf, _, _ = strings.Cut(csrf, `"`)
	resp, err := b.PostForm(u.url+"/sign-out", url.Values{"csrf": {csrf}})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(text), u.provider.URL+"/end?client_id="+oidctest.Client) || u.name(b) != "" {
		t.Errorf("%v, as %q\n%s", err, u.name(b), text)
	}
}
