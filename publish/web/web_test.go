package web

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/publish"
	"github.com/smimerelay/smimerelay/smime/address"
)

type trusting struct{}

func (trusting) Check(_ context.Context, c *x509.Certificate, _ certs.Request) certs.Verdict {
	if c.Subject.CommonName == "unknown" {
		return certs.Verdict{Result: certs.TempError}
	}
	return certs.Verdict{Result: certs.Pass, Chain: []*x509.Certificate{c}}
}

// stand is a server with certificates of alice and of bob, of whom bob is not published.
type stand struct {
	Published
	server *Server
	counts map[string]int
	alice  *x509.Certificate
}

func newStand(t *testing.T) *stand {
	t.Helper()
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	issue := func(text string) *x509.Certificate {
		return testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{text}})).Certificate
	}
	s := &stand{counts: map[string]int{}, alice: issue("alice+x&y@example.org")}
	bob := issue("bob@example.org")
	unknown := testpki.Must(ca.Issue(testpki.Leaf{Name: "unknown", Addresses: []string{"unknown@example.org"}})).Certificate
	s.PerMinute = 1000
	s.Match = func(a address.Address) bool { return a.Local() != "bob" }
	s.Snapshot = testpki.Must(publish.New(t.Context(), publish.Config{
		Each: func(_ context.Context, f func(*x509.Certificate, []*x509.Certificate) bool) error {
			_ = f(s.alice, nil) && f(bob, nil) && f(unknown, nil)
			return nil
		},
		Own: func(address.Address) bool { return true }, Checker: trusting{}, Clock: time.Now,
	}, nil))
	s.server = &Server{
		Published: func() Published { return s.Published }, Limiter: publish.NewLimiter(time.Now),
		Count: func(result string) { s.counts[result]++ }, Log: slog.New(slog.DiscardHandler),
	}
	return s
}

func (s *stand) ask(method, query string, header ...string) *http.Response {
	r := httptest.NewRequest(method, path+query, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.server.Handler().ServeHTTP(w, r)
	return w.Result()
}

func TestAnswers(t *testing.T) {
	s := newStand(t)
	one := "?address=" + url.QueryEscape("Alice+x&y@example.org")
	for _, c := range []struct {
		name, method, query string
		status              int
	}{
		{"found", "GET", one, 200},
		{"found, without the text", "HEAD", one, 200},
		{"none", "GET", "?address=carol@example.org", 404},
		{"could not be checked", "GET", "?address=unknown@example.org", 503},
		{"not published", "GET", "?address=bob@example.org", 404},
		{"elsewhere", "GET", "?address=carol@partner.example", 404},
		{"no question", "GET", "", 400},
		{"two questions", "GET", one + "&address=x@example.org", 400},
		{"a pattern", "GET", "?address=*", 400},
		{"a domain", "GET", "?address=example.org", 400},
		{"the null address", "GET", "?address=", 400},
		{"another method", "POST", one, 405},
	} {
		if got := s.ask(c.method, c.query); got.StatusCode != c.status {
			t.Errorf("%s: %s, want %d", c.name, got.Status, c.status)
		}
	}
	// Stars are legal in an address: as one they find that address alone.
	if got := s.ask("GET", "?address=*@example.org"); got.StatusCode != 404 {
		t.Errorf("a star: %s", got.Status)
	}
	body := s.ask("GET", one).Body
	buffer := make([]byte, 1<<16)
	n, _ := body.Read(buffer)
	if list, err := file.ParseCertificates(buffer[:n]); err != nil || len(list) != 1 || !list[0].Equal(s.alice) {
		t.Errorf("%d certificates, %v", len(list), err)
	}
	s.Snapshot = nil
	if got := s.ask("GET", one); got.StatusCode != 503 {
		t.Errorf("without a snapshot: %s", got.Status)
	}
	if s.counts[found] != 3 || s.counts[none] != 4 || s.counts[refused] != 5 || s.counts[failed] != 2 {
		t.Error(s.counts)
	}
}

// TestLimit: answers that find nothing count like the others, and clients behind a
// proxy on this host have a limit each.
func TestLimit(t *testing.T) {
	s := newStand(t)
	s.PerMinute = 2
	for i, want := range []int{404, 400, 429, 429} {
		query := []string{"?address=carol@example.org", "", "?address=carol@example.org", ""}[i]
		if got := s.ask("GET", query); got.StatusCode != want {
			t.Errorf("question %d: %s, want %d", i, got.Status, want)
		}
	}
	// Who comes from elsewhere cannot say to be another.
	if got := s.ask("GET", "", "X-Forwarded-For", "192.0.2.99"); got.StatusCode != 429 {
		t.Errorf("with another name: %s", got.Status)
	}
	// A proxy on this host says for whom it asks.
	for i, want := range []int{404, 404, 429} {
		r := httptest.NewRequest("GET", path+"?address=carol@example.org", nil)
		r.RemoteAddr = "127.0.0.1:1"
		r.Header.Set("X-Forwarded-For", "203.0.113.7")
		w := httptest.NewRecorder()
		if s.server.Handler().ServeHTTP(w, r); w.Code != want {
			t.Errorf("question %d by a proxy: %d, want %d", i, w.Code, want)
		}
	}
}
