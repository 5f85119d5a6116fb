package directory

import (
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// serve runs a TLS server and returns its address and its authority's file.
func serve(tb testing.TB, h http.HandlerFunc) (url, ca string) {
	tb.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are meant
	s.StartTLS()
	tb.Cleanup(s.Close)
	return s.URL, writeFile(tb, "ca.pem", testpki.EncodeCertificates(s.Certificate()))
}

func openHTTPS(tb testing.TB, cfg HTTPSConfig) *HTTPS {
	tb.Helper()
	h, err := NewHTTPS(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { h.Close() })
	return h
}

func TestHTTPSReadsEveryForm(t *testing.T) {
	t.Parallel()
	cert := issue(t, bob, 0)
	bodies := map[string]string{
		"der":    string(cert.Raw),
		"pem":    string(testpki.EncodeCertificates(cert)),
		"bundle": bundle(t, cert),
	}
	url, ca := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, bodies[strings.TrimPrefix(r.URL.Path, "/")])
	})
	for form := range bodies {
		f, err := openHTTPS(t, HTTPSConfig{URL: url + "/" + form + "?a={addr}", CA: ca}).Find(t.Context(), addr(t, bob))
		if err != nil || !slices.EqualFunc(f.Certificates, []*x509.Certificate{cert}, (*x509.Certificate).Equal) {
			t.Errorf("%s: %v, %v", form, f, err)
		}
	}
}

func TestHTTPSTellsNoneFromUnknown(t *testing.T) {
	t.Parallel()
	elsewhere := issue(t, bob, 0)
	for name, c := range map[string]struct {
		status int
		body   string
		none   bool
	}{
		"not found":  {404, "<html>", true},
		"gone":       {410, "", true},
		"no content": {204, "", true},
		"page":       {200, "<html>not found</html>", false},
		"empty":      {200, "", false},
		"huge":       {200, strings.Repeat("x", maxBody+1), false},
		"redirect":   {302, "", false},
		"forbidden":  {403, "", false},
		"broken":     {500, "", false},
	} {
		url, ca := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/elsewhere" {
				_, _ = w.Write(elsewhere.Raw)
				return
			}
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		})
		f, err := openHTTPS(t, HTTPSConfig{URL: url + "/{addr}", CA: ca}).Find(t.Context(), addr(t, bob))
		if len(f.Certificates) > 0 || (err == nil) != c.none {
			t.Errorf("%s: %v, %v", name, f, err)
		}
	}
}

func TestHTTPSKeepsTheLimitAndTheAuthority(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	url, ca := serve(t, func(http.ResponseWriter, *http.Request) { <-done })
	defer close(done)
	other := writeFile(t, "other.pem", testpki.EncodeCertificates(testCA().Certificate))
	for _, cfg := range []HTTPSConfig{
		{URL: url + "/{addr}", CA: ca, Timeout: 50 * time.Millisecond},
		{URL: url + "/{addr}", CA: other},
	} {
		if f, err := openHTTPS(t, cfg).Find(t.Context(), addr(t, bob)); err == nil || strings.Contains(err.Error(), "bob") {
			t.Errorf("%v, %v", f, err)
		}
	}
}

func TestHTTPSRestsOnlyWhenTheServiceIsIll(t *testing.T) {
	t.Parallel()
	for status, limit := range map[int]int64{200: 10, 403: 10, 404: 10, 500: breakAfter, 429: breakAfter} {
		var calls atomic.Int64
		url, ca := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			calls.Add(1)
			w.WriteHeader(status)
		})
		h := openHTTPS(t, HTTPSConfig{URL: url + "/{addr}", CA: ca, Clock: newFakeClock().Now})
		for range 10 {
			_, _ = h.Find(t.Context(), addr(t, bob))
		}
		if n := calls.Load(); n != limit {
			t.Errorf("%d: %d requests, want %d", status, n, limit)
		}
	}
}

func TestHTTPSAddressCanNotChangeTheRequest(t *testing.T) {
	t.Parallel()
	var got []string
	url, ca := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.URL.Path, r.URL.Query().Get("a"), r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusNotFound)
	})
	token := writeFile(t, "token", []byte("secret\n"))
	h := openHTTPS(t, HTTPSConfig{URL: url + "/c/{addr}/x?a={addr}", CA: ca, TokenFile: token})
	for _, a := range []string{`"../../?a=b&c=d#%2e"@x.example`, "a+b&c/d?e=f@x.example", `"a b"@x.example`, "jörg@x.example"} {
		got = nil
		if _, err := h.Find(t.Context(), addr(t, a)); err != nil {
			t.Error(err)
		}
		if want := []string{"/c/" + a + "/x", a, "Bearer secret"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestBadHTTPSConfigurations(t *testing.T) {
	t.Parallel()
	for _, cfg := range []HTTPSConfig{
		{URL: ""},
		{URL: "https://host/"},
		{URL: "http://host/{addr}"},
		{URL: "https://{domain}/{addr}"},
		{URL: "https://{domain}:443/{addr}"},
		{URL: "https:///{addr}"},
		{URL: "ftp://host/{addr}"},
		{URL: "https://host/{addr}", CA: "/nonexistent"},
		{URL: "https://host/{addr}", TokenFile: "/nonexistent"},
	} {
		if _, err := NewHTTPS(cfg); err == nil {
			t.Errorf("%+v: accepted", cfg)
		}
	}
	if _, err := NewHTTPS(HTTPSConfig{URL: "http://127.0.0.1:1/{addr}"}); err != nil {
		t.Error(err)
	}
}

// TestHTTPSWithAPassword: an address is logged and shown, so there is no secret in it, and the
// refusal does not repeat it.
func TestHTTPSWithAPassword(t *testing.T) {
	for _, url := range []string{"https://user:SECRET@certs.example.org/{addr}", "https://SECRET@certs.example.org/{addr}"} {
		if _, err := NewHTTPS(HTTPSConfig{Name: "x", URL: url}); err == nil || !strings.Contains(err.Error(), "token_file") || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v", url, err)
		}
	}
}
