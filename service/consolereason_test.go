package service

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/console/api"
	"github.com/smimerelay/smimerelay/history"
)

// TestReasonsAreKept: the reason for what is done with held mail, one message or many, on the page or
// by the API, is in the audit log and in the story of the message.
func TestReasonsAreKept(t *testing.T) {
	v := startConsole(t)
	for i := range 5 {
		if err := v.sendHeld("a@example.org", fmt.Sprintf("b%d@example.net", i)); err != nil {
			t.Fatal(err)
		}
	}
	v.again() // the history has the messages
	token := v.token(access.Administrator)
	secret, csrf := v.session(access.Administrator)
	call := func(method, path string, body any) {
		t.Helper()
		if code, text := v.call(method, api.Prefix+path, token, body); code != http.StatusNoContent {
			t.Fatal(code, text)
		}
	}
	order := func(path, reason string, ids ...string) {
		t.Helper()
		if answer, text := v.ask(v.request(path, secret, url.Values{"csrf": {csrf}, "id": ids, "reason": {reason}, "sure": {"yes"}})); answer.StatusCode != http.StatusSeeOther {
			t.Fatal(answer.StatusCode, text)
		}
	}
	call("DELETE", "/held/h1?reason="+url.QueryEscape("sent twice"), nil)
	order("/held/remove", "two of a kind", "h2", "h3")
	order("/held/release", "the certificate is there now", "h4", "h5") // and is not: both are still held
	call("POST", "/held/h4/release", map[string]string{"reason": "looked up by telephone"})
	order("/held/release-plain", "agreed by telephone", "h5")
	order("/held/return", "the partner has left", "h4")
	v.waitGone(token, "h4")
	v.waitGone(token, "h5")
	v.again()

	reasons := v.auditReasons(token)
	for _, want := range []string{
		"held.remove h1 sent twice", "held.remove h2 two of a kind", "held.remove h3 two of a kind", "held.release h4 the certificate is there now",
		"held.release h4 looked up by telephone", "held.release-plain h5 agreed by telephone", "held.return h4 the partner has left",
	} {
		if !strings.Contains(reasons, want+"\n") {
			t.Errorf("no %q in\n%s", want, reasons)
		}
	}
	for to, want := range map[string]history.Event{
		"b0@example.net": {Kind: history.Ended, Reason: "removed from the queue by an administrator: sent twice", By: "administrator/token-administrator"},
		"b2@example.net": {Kind: history.Ended, Reason: "removed from the queue by an administrator: two of a kind", By: "administrator"},
		"b3@example.net": {Kind: history.Ended, Reason: "returned by an administrator: the partner has left", By: "administrator"},
		"b4@example.net": {Kind: history.Released, Reason: "agreed by telephone", By: "administrator"},
	} {
		v.storyHas(token, to, want)
	}
}

// auditReasons are the entries of the audit log that have a reason: action, object and reason.
func (v *visitors) auditReasons(token string) string {
	v.t.Helper()
	var list struct{ Items []access.Entry }
	_, text := v.call("GET", api.Prefix+"/audit", token, nil)
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		v.t.Fatal(err)
	}
	var reasons strings.Builder
	for _, e := range list.Items {
		if e.Reason != "" && e.Failed == "" {
			fmt.Fprintln(&reasons, e.Action, e.Object, e.Reason)
		}
	}
	return reasons.String()
}

// storyHas wants an event in what the history has of a recipient, and its reason on the page.
func (v *visitors) storyHas(token, to string, want history.Event) {
	v.t.Helper()
	var list struct{ Items []history.Row }
	_, text := v.call("GET", api.Prefix+"/messages?q="+to, token, nil)
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list.Items) != 1 {
		v.t.Fatal(text, err)
	}
	for _, e := range list.Items[0].Events {
		if e.Kind == want.Kind && e.By == want.By && strings.HasPrefix(e.Reason, want.Reason) {
			secret, _ := v.session(access.Viewer)
			if _, page := v.ask(v.request("/messages/"+list.Items[0].ID, secret, nil)); !strings.Contains(page, want.Reason) {
				v.t.Errorf("%s: no %q on the page:\n%s", to, want.Reason, page)
			}
			return
		}
	}
	v.t.Errorf("%s: no %+v in %+v", to, want, list.Items[0].Events)
}

// waitGone waits until a message is held no more.
func (v *visitors) waitGone(token, id string) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.t.Context(), patience)
	defer cancel()
	for ctx.Err() == nil {
		if code, _ := v.call("GET", api.Prefix+"/held/"+id, token, nil); code == http.StatusNotFound {
			return
		}
	}
	v.t.Fatalf("%s is held still", id)
}
