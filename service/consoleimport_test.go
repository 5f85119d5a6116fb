package service

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/console/api"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// TestConsoleImport: an import says how many certificates were new, changed, known and refused, and
// why; one that cannot be taken keeps none of the others out.
func TestConsoleImport(t *testing.T) {
	v := startConsole(t)
	issue := func(name string, addresses ...string) string {
		return string(testpki.EncodeCertificates(testpki.Must(v.ca.Issue(testpki.Leaf{Name: name, Addresses: addresses})).Certificate))
	}
	many := make([]string, 2000) // more octets than the store takes
	for i := range many {
		many[i] = fmt.Sprintf("user%d@a-long-name-of-a-domain.example.net", i)
	}
	fresh, large := issue("New", "new@example.net"), issue("Large", many...)
	known, seen := issue("Known", "known@example.net"), testpki.Must(v.ca.Issue(testpki.Leaf{Addresses: []string{"seen@example.net"}})).Certificate
	broken := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("no certificate")}))
	token := v.token(access.Operator)
	post := func(text string) (int, string) {
		return v.call("POST", api.Prefix+"/certificates", token, api.PEM{PEM: text})
	}
	if code, text := post(known); code != http.StatusOK {
		t.Fatal(code, text)
	}
	s, err := store.Open(t.Context(), store.Config{URL: filepath.Join(v.dir, "store.db")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), store.Harvested, store.New{Certificate: seen}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	all := fresh + broken + known + string(testpki.EncodeCertificates(seen)) + large + fresh
	code, text := post(all)
	var got api.Imported
	if err := json.Unmarshal([]byte(text), &got); err != nil || code != http.StatusOK {
		t.Fatal(code, text, err)
	}
	if got.Added != 1 || got.Changed != 1 || got.Known != 1 || len(got.Items) != 3 || len(got.Refused) != 2 ||
		!strings.Contains(got.Refused[0], "certificate 2 in it") || !strings.Contains(got.Refused[1], "octets, over") {
		t.Errorf("%+v", got)
	}
	// None that could be taken is an error, and one that says why of each.
	for _, c := range []struct {
		text string
		want []string
	}{{broken + large, []string{"certificate 1 in it", "octets, over"}}, {large, []string{"octets, over"}}, {broken, []string{"cannot be read"}}, {"", []string{"no certificate"}}} {
		code, text := post(c.text)
		for _, want := range c.want {
			if code != http.StatusUnprocessableEntity || !strings.Contains(text, want) {
				t.Errorf("%d %.500s", code, text)
			}
		}
	}
	secret, csrf := v.session(access.Operator)
	answer, page := v.ask(v.request("/certificates/import", secret, url.Values{"csrf": {csrf}, "pem": {all}}))
	if answer.StatusCode != http.StatusOK || !strings.Contains(page, "Already there: 3") || !strings.Contains(page, "Refused: 2") || !strings.Contains(page, "octets, over") || !strings.Contains(page, "New: 0") {
		t.Error(answer.StatusCode, page)
	}
}
