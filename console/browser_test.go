package console

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/console/api"
)

// open returns a console with no gateway behind it, and what it logs.
func open(t *testing.T, c Config) (*Console, *bytes.Buffer) {
	t.Helper()
	log := &bytes.Buffer{}
	c.Log, c.Clock = slog.New(slog.NewTextHandler(log, nil)), time.Now
	var err error
	if c.Access, err = access.Open(t.Context(), access.Config{Path: filepath.Join(t.TempDir(), "console.db"), Log: c.Log}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Access.Close(); err != nil {
			t.Error(err)
		}
	})
	c.Operations = api.New(api.Operations{Access: c.Access, Log: c.Log})
	return New(c), log
}

// get asks for a page.
func get(c *Console, path string, cookies ...*http.Cookie) *http.Response {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for _, cookie := range cookies {
		r.AddCookie(cookie)
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	return w.Result()
}

// TestLinksOfOtherSites: a browser sends no cookie where a link of another site leads to the
// console. It must not lose the session for that.
func TestLinksOfOtherSites(t *testing.T) {
	c, _ := open(t, Config{})
	answer := get(c, "/messages")
	if answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != "/sign-in?to=%2Fmessages" || len(answer.Cookies()) != 0 {
		t.Errorf("%d, %q", answer.StatusCode, answer.Header)
	}
	ended := get(c, "/messages", &http.Cookie{Name: "smimerelay", Value: "of a session that has ended"})
	if cookies := ended.Cookies(); len(cookies) != 1 || cookies[0].MaxAge >= 0 {
		t.Errorf("the secret of a session that has ended stays: %+v", cookies)
	}
}

// TestLinkedPagesAreReached: where a browser shows no cookie because a link of another site led here,
// the page that was asked for is asked for again, by the console itself.
func TestLinkedPagesAreReached(t *testing.T) {
	c, _ := open(t, Config{})
	r := httptest.NewRequest(http.MethodGet, `/messages?q=a"b&done=done`, nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	if text := w.Body.String(); w.Code != http.StatusOK || !strings.Contains(text, `content="0;url=/messages?q=a&#34;b&amp;done=done"`) || len(w.Result().Cookies()) != 0 {
		t.Errorf("%d, %s", w.Code, text)
	}
}

// TestWhereFormsLead: the address in the forms to sign in and to choose a language leads to a page of
// the console, whatever someone has written there.
func TestWhereFormsLead(t *testing.T) {
	c, _ := open(t, Config{})
	by := access.Actor{Name: "test", Via: "command line"}
	const password = "correct horse battery"
	if err := c.Access.AddUser(t.Context(), by, "alice", access.Viewer, password); err != nil {
		t.Fatal(err)
	}
	for to, want := range map[string]string{
		"":                              "/",
		"/":                             "/",
		"/messages/a%2Fb?x=%0d%0a":      "/messages/a%2Fb?x=%0d%0a",
		"/messages?q=//evil.example":    "/messages?q=//evil.example",
		"https://evil.example/messages": "/", "//evil.example/messages": "/", "//messages": "/", "///messages": "/", "////messages": "/",
		`/\\evil.example`: "/", `\\evil.example`: "/", "/%2Fevil.example": "/", "/.//messages": "/", "javascript:alert(1)": "/", "/messages@evil.example": "/",
		"/messages\r\nSet-Cookie: evil=1": "/", " //evil.example": "/", "user@evil.example:/messages": "/", "?q=1": "/", "/assets/console.js": "/", "/api/v1/me": "/", "/held/return": "/",
		// What needs no session would have someone follow a link of someone else.
		"/sign-in/link?secret=x": "/", "/sign-in": "/", "/sign-in/openid": "/",
	} {
		for path, form := range map[string]url.Values{
			"/sign-in":  {"name": {"alice"}, "password": {password}, "to": {to}},
			"/language": {"language": {"de"}, "to": {to}},
		} {
			r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			w := httptest.NewRecorder()
			c.ServeHTTP(w, r)
			want := want
			if path == "/language" && strings.HasPrefix(to, "/sign-in") && to != "/sign-in/openid" {
				want = to
			}
			if got := w.Header().Get("Location"); w.Code != http.StatusSeeOther || got != want {
				t.Errorf("%s to %q: %d, leads to %q, want %q", path, to, w.Code, got, want)
			}
		}
	}
}

// TestWhatIsNoPage: what is not there is said in the form of the pages, or of the API; the address of a
// form leads back to its page.
func TestWhatIsNoPage(t *testing.T) {
	c, _ := open(t, Config{})
	by := access.Actor{Name: "test", Via: "command line"}
	if err := c.Access.AddUser(t.Context(), by, "alice", access.Viewer, "correct horse battery"); err != nil {
		t.Fatal(err)
	}
	link, err := c.Access.CreateLink(t.Context(), by, "alice", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	secrets, err := c.Access.FollowLink(t.Context(), link, netip.Addr{}, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		method, path    string
		code            int
		location, allow string
		kind, text      string
	}{
		{"GET", "/nonsense", http.StatusNotFound, "", "", "text/html; charset=utf-8", "there is no such page"},
		{"GET", "/assets/nonsense", http.StatusNotFound, "", "", "text/html; charset=utf-8", "there is no such page"},
		{"GET", "/held/return", http.StatusSeeOther, "/held", "POST", "", ""},
		{"GET", "/certificates/00/block", http.StatusSeeOther, "/certificates", "POST", "", ""},
		{"GET", "/language", http.StatusSeeOther, "/", "POST", "", ""},
		{"GET", "/api/v1/nonsense", http.StatusNotFound, "", "", "application/problem+json", `"status":404`},
		{"GET", "/api/", http.StatusNotFound, "", "", "application/problem+json", `"status":404`},
		{"PUT", "/audit", http.StatusMethodNotAllowed, "", "GET", "text/html; charset=utf-8", "the page has another method"},
		{"DELETE", "/held/return", http.StatusMethodNotAllowed, "", "POST", "text/html; charset=utf-8", "the page has another method"},
		{"PUT", "/api/v1/me", http.StatusMethodNotAllowed, "", "GET", "application/problem+json", `"status":405`},
		{"GET", "/api/v1/queue/1/retry", http.StatusMethodNotAllowed, "", "POST", "application/problem+json", `"status":405`},
		{"PATCH", "/api/v1/queue/1", http.StatusMethodNotAllowed, "", "GET, DELETE", "application/problem+json", `"status":405`},
	} {
		r := httptest.NewRequest(x.method, x.path, nil)
		r.AddCookie(&http.Cookie{Name: "smimerelay", Value: secrets.Session})
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		h := w.Header()
		if w.Code != x.code || h.Get("Location") != x.location || h.Get("Allow") != x.allow || x.kind != "" && h.Get("Content-Type") != x.kind || !strings.Contains(w.Body.String(), x.text) {
			t.Errorf("%s %s: %d %v %s", x.method, x.path, w.Code, h, w.Body)
		}
	}
	if answer := get(c, "/nonsense"); answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != "/sign-in" {
		t.Errorf("without a session: %d %v", answer.StatusCode, answer.Header)
	}
	for path, kind := range map[string]string{"/sign-in": "text/html; charset=utf-8", "/api/v1/configuration/reload": "application/problem+json"} {
		r := httptest.NewRequest(http.MethodPost, path, nil)
		r.Header.Set("Origin", "https://evil.example")
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		if w.Code != http.StatusForbidden || w.Header().Get("Content-Type") != kind || !strings.Contains(w.Body.String(), "sent from another site") {
			t.Errorf("%s from another site: %d %v %s", path, w.Code, w.Header(), w.Body)
		}
	}
}

// TestWhatIsNoText: octets that PostgreSQL does not take are no error of the gateway, by a stranger
// neither.
func TestWhatIsNoText(t *testing.T) {
	c, log := open(t, Config{})
	for _, bytes := range []string{"\x00", "a\x00b", "\xff", "a\xc3"} {
		q := url.QueryEscape(bytes)
		for _, r := range []*http.Request{
			httptest.NewRequest(http.MethodGet, "/messages?q="+q, nil), httptest.NewRequest(http.MethodGet, "/messages?"+q+"=1", nil), httptest.NewRequest(http.MethodGet, "/messages/"+url.PathEscape(bytes), nil),
			httptest.NewRequest(http.MethodGet, "/api/v1/messages?q="+q, nil), httptest.NewRequest(http.MethodGet, "/messages?q=%zz", nil),
			httptest.NewRequest(http.MethodPost, "/sign-in", strings.NewReader(url.Values{"name": {bytes}, "password": {"x"}}.Encode())),
		} {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			w := httptest.NewRecorder()
			c.ServeHTTP(w, r)
			if w.Code != http.StatusBadRequest {
				t.Errorf("%s %s: %d", r.Method, r.URL, w.Code)
			}
		}
	}
	if log.Len() != 0 {
		t.Error(log)
	}
}

// TestClientsOfAProxy: a proxy on this host names the client, and no other client does.
func TestClientsOfAProxy(t *testing.T) {
	for _, c := range []struct {
		header, from string
		named        []string
		want         string
	}{
		{"", "127.0.0.1:4000", []string{"192.0.2.1"}, "127.0.0.1"},
		{"X-Forwarded-For", "127.0.0.1:4000", []string{"192.0.2.1"}, "192.0.2.1"},
		{"X-Forwarded-For", "[::1]:4000", []string{"2001:db8::7"}, "2001:db8::7"},
		{"X-Forwarded-For", "@", []string{"192.0.2.1"}, "192.0.2.1"}, // a unix socket
		{"X-Forwarded-For", "@", nil, "unix socket"},
		{"X-Forwarded-For", "@", []string{"what the client said, 192.0.2.1"}, "192.0.2.1"},
		{"X-Forwarded-For", "@", []string{"203.0.113.9", "203.0.113.10, 192.0.2.1"}, "192.0.2.1"},
		{"X-Forwarded-For", "@", []string{"nonsense"}, "unix socket"},
		{"X-Forwarded-For", "198.51.100.1:4000", []string{"192.0.2.1"}, "198.51.100.1"},
	} {
		console, log := open(t, Config{ClientHeader: c.header})
		r := httptest.NewRequest(http.MethodPost, "/sign-in", strings.NewReader(url.Values{"name": {"x"}, "password": {"y"}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.RemoteAddr = c.from
		for _, n := range c.named {
			r.Header.Add("X-Forwarded-For", n)
		}
		w := httptest.NewRecorder()
		console.ServeHTTP(w, r)
		want := "client=" + c.want
		if strings.Contains(c.want, " ") {
			want = `client="` + c.want + `"`
		}
		if w.Code != http.StatusForbidden || !strings.Contains(log.String(), want+"\n") {
			t.Errorf("%+v: %d, %s", c, w.Code, log)
		}
	}
}
