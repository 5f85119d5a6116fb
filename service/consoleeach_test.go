package service

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/console/api"
)

// TestConsoleDoneInPart: what fails for one message keeps no other from what was ordered, and the
// answer says for which it was done.
func TestConsoleDoneInPart(t *testing.T) {
	v := startConsole(t)
	for i := range 2 {
		if err := v.sendHeld("a@example.org", fmt.Sprintf("b%d@example.net", i)); err != nil {
			t.Fatal(err)
		}
	}
	token := v.token(access.Viewer)
	held := func() (ids []string) {
		_, text := v.call("GET", api.Prefix+"/held", token, nil)
		var list struct{ Items []struct{ ID string } }
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			t.Fatal(err)
		}
		for _, h := range list.Items {
			ids = append(ids, h.ID)
		}
		return ids
	}
	ids := held()
	secret, csrf := v.session(access.Administrator)
	remove := func(ids ...string) (int, string) {
		answer, text := v.ask(v.request("/held/remove", secret, url.Values{"csrf": {csrf}, "id": ids, "sure": {"yes"}}))
		return answer.StatusCode, text
	}
	// What cannot be undone is asked first, and says whose mail it is.
	for _, path := range []string{"/held/remove", "/held/release-plain"} {
		answer, text := v.ask(v.request(path, secret, url.Values{"csrf": {csrf}, "id": {ids[0], "h999"}, "reason": {"<xss>"}}))
		if answer.StatusCode != http.StatusOK || !strings.Contains(text, "Are you sure?") || !strings.Contains(text, "b0@example.net") || !strings.Contains(text, "not in the queue") || strings.Contains(text, "<xss") {
			t.Errorf("%s: %d %s", path, answer.StatusCode, text)
		}
	}
	if left := held(); len(left) != 2 {
		t.Errorf("%q are left", left)
	}
	code, text := remove(ids[0], "h999", ids[1])
	if code != http.StatusConflict || !strings.Contains(text, "It was done for 2, and not for 1:") || !strings.Contains(text, "h999: ") || strings.Contains(text, "Not done") {
		t.Errorf("%d %s", code, text)
	}
	if left := held(); len(left) != 0 {
		t.Errorf("%q are left", left)
	}
	if code, text := remove("h998", "h999"); code != http.StatusConflict || !strings.Contains(text, "none of them") {
		t.Errorf("%d %s", code, text)
	}
	if code, _ := remove("h999"); code != http.StatusNotFound {
		t.Error(code)
	}
}
