package service

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/console/api"
)

// again restarts the gateway: what it has recorded is written then.
func (v *visitors) again() {
	n := v.log.count("msg=serving")
	v.stop()
	v.run()
	v.log.waitCount(v.t, "msg=serving", n+1)
	v.url = "http://" + v.address("[console]")
}

// TestConsoleReplay tries other rules on what came, by the API and the page, and finds what the
// rules in use decided on.
func TestConsoleReplay(t *testing.T) {
	v := startConsole(t)
	if err := v.sendHeld("a@example.org", "b@example.net"); err != nil {
		t.Fatal(err)
	}
	v.again()
	const plain = "[[rule]]\nname = \"default\"\nsign = \"never\"\nencrypt = \"never\"\n"
	token := v.token(access.Administrator)
	replay := func(text string) (int, string) {
		return v.call("POST", api.Prefix+"/policy/replay", token, map[string]any{"text": text, "days": 1})
	}
	var found struct {
		Recipients, Changed int
		Differences         []struct{ Recipient, Before, After, RuleAfter string }
	}
	code, text := replay(plain)
	if err := json.Unmarshal([]byte(text), &found); err != nil || code != http.StatusOK || found.Changed != 1 || len(found.Differences) != 1 {
		t.Fatalf("%d %s", code, text)
	}
	if d := found.Differences[0]; d.Recipient != "b@example.net" || d.Before != "held" || d.After != "passed" {
		t.Errorf("%+v", d)
	}
	// A rule that names a file cannot be tried; a list that no rule reads keeps none from it.
	if code, text := replay(strings.Replace(plain, "sign", "sender = [\"file:/etc/passwd\"]\nsign", 1)); code != http.StatusUnprocessableEntity || !strings.Contains(text, "sender[0]") {
		t.Errorf("%d %s", code, text)
	}
	if code, text := replay("[[entitlement]]\nuser = [\"x\"]\nfrom = [\"file:/missing\"]\n" + plain); code != http.StatusOK {
		t.Errorf("%d %s", code, text)
	}
	if code, text := replay("nonsense = true"); code != http.StatusUnprocessableEntity || !strings.Contains(text, `"text:1: nonsense`) || strings.Contains(text, "config.toml") {
		t.Errorf("%d %s", code, text)
	}
	if entries, err := v.access.Audit(t.Context(), access.AuditQuery{Limit: 1}); err != nil || entries[0].Action != "policy.replay" || !strings.HasPrefix(entries[0].Object, "sha256:") {
		t.Errorf("%+v, %v", entries, err)
	}
	secret, csrf := v.session(access.Administrator)
	answer, page := v.ask(v.request("/rules/replay", secret, url.Values{"csrf": {csrf}, "days": {"1"}, "text": {plain}}))
	if answer.StatusCode != http.StatusOK || !strings.Contains(page, `data-label="To">b@example.net</td><td data-label="Before">held`) {
		t.Errorf("%d %s", answer.StatusCode, page)
	}
	if !strings.Contains(page, `Recipients in the last 7 days: <a href="/messages?rule=%3cxss-rule%3e">1<`) || strings.Count(page, "Recipients in the last 7 days: 0<") != 1 {
		t.Errorf("what the rules decided on: %s", page)
	}
	answer, page = v.ask(v.request("/rules/replay", secret, url.Values{"csrf": {csrf}, "days": {"1"}, "text": {"nonsense = true"}}))
	if answer.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(page, "nonsense") {
		t.Errorf("%d %s", answer.StatusCode, page)
	}
}
