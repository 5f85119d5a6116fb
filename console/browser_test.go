package console

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
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
	if answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != "/sign-in" || len(answer.Cookies()) != 0 {
		t.Errorf("%d, %q", answer.StatusCode, answer.Header)
	}
	ended := get(c, "/messages", &http.Cookie{Name: "smimerelay", Value: "of a session that has ended"})
	if cookies := ended.Cookies(); len(cookies) != 1 || cookies[0].MaxAge >= 0 {
		t.Errorf("the secret of a session that has ended stays: %+v", cookies)
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
