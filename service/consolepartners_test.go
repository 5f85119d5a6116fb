package service

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/console/api"
	"github.com/smimerelay/smimerelay/history"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// TestConsolePartners: the page and the API say what partners can read and what can be verified,
// until when, and what came from and went to them.
func TestConsolePartners(t *testing.T) {
	v := startConsole(t)
	s, err := store.Open(t.Context(), store.Config{URL: filepath.Join(v.dir, "store.db")})
	if err != nil {
		t.Fatal(err)
	}
	now := v.now()
	put := func(ca *testpki.CA, l testpki.Leaf) {
		t.Helper()
		id := testpki.Must(ca.Issue(l))
		if _, err := s.Put(t.Context(), store.Harvested, store.New{Certificate: id.Certificate}); err != nil {
			t.Fatal(err)
		}
	}
	stranger := testpki.Must(testpki.NewCA(testpki.Options{Name: "Stranger CA"}))
	put(v.ca, testpki.Leaf{Addresses: []string{"bob@partner.example"}, NotBefore: now.AddDate(0, -2, 0), NotAfter: now.AddDate(0, 1, 0)})
	put(v.ca, testpki.Leaf{Addresses: []string{"bob@partner.example"}, NotBefore: now.AddDate(0, -1, 0), NotAfter: now.AddDate(0, 2, 0)})
	put(v.ca, testpki.Leaf{Addresses: []string{"gone@partner.example"}, NotBefore: now.AddDate(-2, 0, 0), NotAfter: now.AddDate(-1, 0, 0)})
	put(stranger, testpki.Leaf{Addresses: []string{"x&b@other.example"}})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	h, err := history.Open(t.Context(), history.Place{Path: filepath.Join(v.dir, "history.db")})
	if err != nil {
		t.Fatal(err)
	}
	row := func(id, direction, from, to string, at time.Time, more history.Row) history.Row {
		more.ID, more.Direction, more.Sender, more.Recipient, more.Time, more.Outcome = id, direction, mustAddress(t, from), mustAddress(t, to), at, history.Delivered
		return more
	}
	_, err = h.Write(t.Context(), history.Batch{Rows: []history.Row{
		row("m1", "inbound", "bob@partner.example", "a@example.org", now.Add(-time.Hour), history.Row{Result: "pass"}),
		row("m2", "inbound", "Bob@partner.example", "a@example.org", now.Add(-time.Minute), history.Row{Result: "fail"}),
		row("m3", "outbound", "a@example.org", "bob@partner.example", now.Add(-2*time.Minute), history.Row{Protection: "signed, encrypted"}),
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}

	token := v.token(access.Viewer)
	ask := func(query string) (list api.List[api.Partner]) {
		t.Helper()
		code, text := v.call("GET", api.Prefix+"/partners"+query, token, nil)
		if err := json.Unmarshal([]byte(text), &list); code != http.StatusOK || err != nil {
			t.Fatal(code, text, err)
		}
		return list
	}
	all := ask("")
	if len(all.Items) != 3 || all.Next != "" {
		t.Fatalf("%+v", all)
	}
	bob := all.Items[0]
	if bob.Address != "bob@partner.example" || !bob.Read.Able || !bob.Verify.Able || bob.Read.Until.Before(now.AddDate(0, 2, -1)) || len(bob.Certificates) != 2 ||
		bob.Received == nil || bob.Received.ID != "m2" || bob.Received.Protection != "fail" || bob.Sent == nil || bob.Sent.ID != "m3" || bob.Sent.Protection != "signed, encrypted" {
		t.Errorf("%+v, received %+v, sent %+v", bob, bob.Received, bob.Sent)
	}
	if gone := all.Items[1]; gone.Read.Able || gone.Read.Reason != "expired" || gone.Verify.Reason != "expired" || gone.Received != nil {
		t.Errorf("%+v", gone)
	}
	if x := all.Items[2]; x.Read.Able || x.Read.Reason == "" {
		t.Errorf("%+v", x)
	}
	first := ask("?limit=1&domain=partner.example")
	if second := ask("?limit=1&domain=partner.example&cursor=" + first.Next); len(first.Items) != 1 || len(second.Items) != 1 || second.Items[0].Address != "gone@partner.example" || second.Next != "" {
		t.Errorf("%+v, %+v", first, second)
	}
	if code, _ := v.call("GET", api.Prefix+"/partners?address=nonsense", token, nil); code != http.StatusUnprocessableEntity {
		t.Error(code)
	}

	session, _ := v.session(access.Viewer)
	_, page := v.ask(v.request("/partners", session, nil))
	if !strings.Contains(page, "bob@partner.example") || !strings.Contains(page, "x&amp;b@other.example") {
		t.Errorf("%s", page)
	}
	_, page = v.ask(v.request("/partners?q=bob%40partner.example", session, nil))
	for _, want := range []string{"/messages/m1", "/messages/m2", "/messages/m3", "/certificates/" + bob.Read.SHA256} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q on the page:\n%s", want, page)
		}
	}
}
