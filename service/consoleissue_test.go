package service

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/console/api"
)

// TestConsoleIssuesAndRevokes has the built-in CA issue and revoke by the API and by the pages.
// No private key is in an answer, and the CRL is published at once.
func TestConsoleIssuesAndRevokes(t *testing.T) {
	v := startConsole(t)
	token := v.token(access.Administrator)
	issue := func(body map[string]any) (int, string) { return v.call("POST", api.Prefix+"/identities", token, body) }
	if code, text := issue(map[string]any{"address": "alice@example.org"}); code != http.StatusConflict || !strings.Contains(text, "ca.url") {
		t.Errorf("without a CA: %d %s", code, text)
	}
	published := filepath.Join(v.dir, "published")
	if err := os.Mkdir(published, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := store.CreateKey(filepath.Join(v.dir, "store.key")); err != nil {
		t.Fatal(err)
	}
	v.reload(strings.Replace(withConsole, "[store]\n", "[store]\nkey_file = \"%DIR%/store.key\"\n", 1)+"[ca]\nurl = \"http://pki.example.org/smime/\"\nfolder = \""+published+"\"\n", "msg=reloaded")
	v.inaugurate()

	code, text := issue(map[string]any{"address": "alice@example.org", "key": "p256", "days": 30})
	var list struct {
		Items []struct{ SHA256, Origin string }
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil || code != http.StatusOK || len(list.Items) != 1 || list.Items[0].Origin != "issued" || strings.Contains(text, "PRIVATE") {
		t.Fatalf("%d %s", code, text)
	}
	first := list.Items[0].SHA256
	for _, c := range []struct {
		body map[string]any
		code int
	}{
		{map[string]any{"address": "alice@example.org"}, http.StatusConflict},
		{map[string]any{"address": "alice@example.org", "again": true}, http.StatusOK},
		{map[string]any{"address": "alice@example.net"}, http.StatusConflict},
		{map[string]any{"address": "alice"}, http.StatusUnprocessableEntity},
		{map[string]any{"address": "bob@example.org", "key": "rsa512"}, http.StatusUnprocessableEntity},
	} {
		if code, text := issue(c.body); code != c.code {
			t.Errorf("%v: %d %s", c.body, code, text)
		}
	}
	files := func() string {
		all := ""
		names, err := filepath.Glob(filepath.Join(published, "*.crl"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			all += string(data)
		}
		return all
	}
	before := files()
	revoke := func(sha256 string) (int, string) {
		return v.call("POST", api.Prefix+"/certificates/"+sha256+"/revoke", token, map[string]string{"reason": "superseded"})
	}
	if code, text := revoke(first); code != http.StatusOK || !strings.Contains(text, `"revocation_reason":4`) {
		t.Errorf("%d %s", code, text)
	}
	if after := files(); after == before {
		t.Error("no new CRL is published")
	}
	if code, text := revoke(first); code != http.StatusConflict {
		t.Errorf("revoked twice: %d %s", code, text)
	}
	_, text = v.call("GET", api.Prefix+"/authorities", token, nil)
	var authorities struct{ Items []struct{ SHA256 string } }
	if err := json.Unmarshal([]byte(text), &authorities); err != nil || len(authorities.Items) == 0 {
		t.Fatal(text, err)
	}
	for _, a := range authorities.Items {
		if code, text := revoke(a.SHA256); code != http.StatusConflict {
			t.Errorf("the CA: %d %s", code, text)
		}
	}

	secret, csrf := v.session(access.Administrator)
	answer, _ := v.ask(v.request("/certificates/issue", secret, url.Values{"csrf": {csrf}, "address": {"bob@example.org"}}))
	place := answer.Header.Get("Location")
	if answer.StatusCode != http.StatusSeeOther || !strings.HasPrefix(place, "/certificates/") {
		t.Fatalf("%d %s", answer.StatusCode, place)
	}
	path, _, _ := strings.Cut(place, "?")
	if _, page := v.ask(v.request(path, secret, nil)); !strings.Contains(page, path+"/revoke") {
		t.Error("the page of what was issued has no form to revoke it")
	}
	for _, c := range []struct {
		reason string
		code   int
	}{{"nonsense", http.StatusBadRequest}, {"cessation", http.StatusSeeOther}, {"cessation", http.StatusConflict}} {
		if answer, text := v.ask(v.request(path+"/revoke", secret, url.Values{"csrf": {csrf}, "reason": {c.reason}})); answer.StatusCode != c.code {
			t.Errorf("%s: %d %s", c.reason, answer.StatusCode, text)
		}
	}
	entries, err := v.access.Audit(t.Context(), access.AuditQuery{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	done := map[string]int{}
	for _, e := range entries {
		if e.Failed == "" {
			done[e.Action]++
		}
	}
	if done["certificate.issue"] < 3 || done["certificate.revoke"] != 2 {
		t.Errorf("%v", done)
	}
}

// inaugurate makes an authority in the store of the gateway.
func (v *visitors) inaugurate() {
	v.t.Helper()
	parts, problems := Load(v.config(), v.now, slog.New(slog.DiscardHandler))
	if len(problems) > 0 {
		v.t.Fatal(problems)
	}
	inaugurate(v.t, parts.Config, parts.Store(), v.now)
	if err := parts.Close(); err != nil {
		v.t.Fatal(err)
	}
}
