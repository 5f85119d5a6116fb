package path

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/revocation"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// names is a directory of hosts for tests. Each look-up takes the next of a
// host's answers; the last repeats.
type names struct {
	mu      sync.Mutex
	answers map[string][]netip.Addr
}

func (n *names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := n.answers[host]
	if len(list) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	if len(list) > 1 {
		n.answers[host] = list[1:]
	}
	return list[:1], nil
}

// services is a web server for revocation, an authority whose certificates point
// to it, and a validator that may ask it.
type services struct {
	t       *testing.T
	root    *testpki.CA
	mux     *http.ServeMux
	port    string
	names   *names
	asked   atomic.Int32
	cfg     revocation.FetchConfig
	clock   time.Time
	fetcher *revocation.Fetcher
}

func newServices(t *testing.T) *services {
	t.Helper()
	s := &services{
		t: t, root: testpki.Must(testpki.NewCA(testpki.Options{})), mux: http.NewServeMux(), clock: time.Now(),
		names: &names{answers: map[string][]netip.Addr{"pki.test": {netip.MustParseAddr("127.0.0.1")}}},
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		s.mux.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	_, s.port, _ = net.SplitHostPort(srv.Listener.Addr().String())
	s.cfg = revocation.FetchConfig{
		Timeout: 2 * time.Second, Resolver: s.names, Folder: t.TempDir(),
		Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
		Clock:   func() time.Time { return s.clock },
	}
	return s
}

func (s *services) url(path string) string { return "http://pki.test:" + s.port + path }

// serve answers a path with data.
func (s *services) serve(path string, data []byte) {
	s.mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { w.Write(data) })
}

// crl answers a path with a revocation list.
func (s *services) crl(path string, c testpki.CRL) {
	s.t.Helper()
	s.serve(path, testpki.Must(s.root.CRL(c)))
}

// validator returns a validator over a fetcher, both fresh.
func (s *services) validator() *Validator {
	s.t.Helper()
	s.fetcher = testpki.Must(revocation.NewFetcher(s.cfg))
	s.t.Cleanup(s.fetcher.Close)
	return newValidator(s.t, Config{
		Fetcher: s.fetcher, Revocation: certs.RevocationRequire, Clock: func() time.Time { return s.clock },
	}, s.root)
}

func (s *services) check(v *Validator, cert *x509.Certificate, want certs.Reason) certs.Verdict {
	s.t.Helper()
	got := v.Check(s.t.Context(), cert, certs.Request{Purpose: certs.ForSigning})
	if got.Reason != want {
		s.t.Errorf("%s %q: %s; want %q", got.Result, got.Reason, got.Detail, want)
	}
	return got
}

func (s *services) leaf(l testpki.Leaf) *x509.Certificate {
	s.t.Helper()
	return testpki.Must(s.root.Issue(l)).Certificate
}

func TestListFetched(t *testing.T) {
	s := newServices(t)
	bad := s.leaf(testpki.Leaf{CRLs: []string{s.url("/crl")}})
	good := s.leaf(testpki.Leaf{CRLs: []string{"ldap://pki.test/", s.url("/crl")}})
	s.crl("/crl", testpki.CRL{Revoked: []*x509.Certificate{bad}, Reason: 1})
	v := s.validator()
	s.check(v, bad, certs.Revoked)
	got := s.check(v, good, "")
	if got.Revocation != "good" || got.Until.IsZero() {
		t.Errorf("%+v", got)
	}
	if n := s.asked.Load(); n != 1 {
		t.Errorf("fetched %d times", n)
	}
}

// TestWhatIsKnownOfRevocation: lists that were fetched are known with their time, and those that
// could not be with why.
func TestWhatIsKnownOfRevocation(t *testing.T) {
	s := newServices(t)
	bad := s.leaf(testpki.Leaf{CRLs: []string{s.url("/crl")}})
	s.crl("/crl", testpki.CRL{Revoked: []*x509.Certificate{bad}, Reason: 1})
	v := s.validator()
	if lists, responses := s.fetcher.Known(); len(lists) != 0 || responses != (revocation.KnownResponses{}) {
		t.Errorf("before anything was asked: %+v, %+v", lists, responses)
	}
	s.check(v, bad, certs.Revoked)
	s.check(v, s.leaf(testpki.Leaf{CRLs: []string{s.url("/none")}}), certs.RevocationUnknown)
	s.check(v, s.leaf(testpki.Leaf{OCSP: []string{s.url("/ocsp")}}), certs.RevocationUnknown)
	lists, responses := s.fetcher.Known()
	if len(lists) != 2 || lists[0].Address != s.url("/crl") || lists[0].Revoked != 1 || !lists[0].NextUpdate.After(s.clock) || lists[0].ThisUpdate.IsZero() || lists[0].Err != nil {
		t.Errorf("%+v", lists)
	}
	if len(lists) != 2 || lists[1].Address != s.url("/none") || !lists[1].NextUpdate.IsZero() || lists[1].Err == nil {
		t.Errorf("%+v", lists)
	}
	if responses != (revocation.KnownResponses{Failed: 1}) {
		t.Errorf("%+v", responses)
	}
}

// TestNothingIsFetchedForStrangers holds the rule that matters most: a sender of mail
// must not be able to make the gateway fetch.
func TestNothingIsFetchedForStrangers(t *testing.T) {
	s := newServices(t)
	stranger := testpki.Must(testpki.NewCA(testpki.Options{Name: "Stranger"}))
	all := testpki.Leaf{CRLs: []string{s.url("/crl")}, OCSP: []string{s.url("/ocsp")}, Issuers: []string{s.url("/ca")}}
	sub := testpki.Must(stranger.Intermediate(testpki.Options{Name: "Sub", CRLs: all.CRLs, OCSP: all.OCSP, Issuers: all.Issuers}))
	v := s.validator()
	s.check(v, testpki.Must(stranger.Issue(all)).Certificate, certs.Untrusted)
	id := testpki.Must(sub.Issue(all))
	got := v.Check(t.Context(), id.Certificate, certs.Request{Purpose: certs.ForSigning, Intermediates: append(id.Chain, stranger.Root)})
	if got.Reason != certs.Untrusted {
		t.Errorf("%+v", got)
	}
	// Nor for what is refused anyway.
	all.NotAfter = s.clock.Add(-time.Minute)
	s.check(v, s.leaf(all), certs.Expired)
	all.NotAfter, all.KeyUsage = time.Time{}, x509.KeyUsageKeyAgreement
	s.check(v, s.leaf(all), certs.WrongPurpose)
	all.KeyUsage = 0
	if got := v.Check(t.Context(), s.leaf(all), certs.Request{Purpose: certs.ForSigning, Revocation: certs.RevocationOff}); got.Result != certs.Pass {
		t.Errorf("%+v", got)
	}
	if n := s.asked.Load(); n != 0 {
		t.Errorf("%d requests were made", n)
	}
}

func TestFaultyServers(t *testing.T) {
	s := newServices(t)
	list := testpki.Must(s.root.CRL(testpki.CRL{}))
	other := testpki.Must(testpki.NewCA(testpki.Options{}))
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	s.mux.HandleFunc("/silent", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-release:
		}
	})
	s.mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		drop := time.NewTicker(10 * time.Millisecond)
		defer drop.Stop()
		for i := 0; ; i++ {
			if _, err := w.Write(list[i%len(list) : i%len(list)+1]); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-release:
				return
			case <-drop.C:
			}
		}
	})
	s.mux.HandleFunc("/huge", func(w http.ResponseWriter, _ *http.Request) {
		// A well-formed beginning of a list of 4 GB, without an end.
		w.Write([]byte{0x30, 0x84, 0xf0, 0, 0, 0, 0x30, 0x84, 0xe0, 0, 0, 0})
		w.Write(list[8:60])
		entry := bytes.Repeat([]byte{0x30, 0x13, 0x02, 0x02, 0x01, 0x02, 0x17, 0x0d, '2', '4', '0', '1', '0', '1', '0', '0', '0', '0', '0', '0', 'Z'}, 1000)
		for {
			if _, err := w.Write(entry); err != nil {
				return
			}
		}
	})
	s.mux.HandleFunc("/truncated", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(list)))
		w.Write(list[:len(list)/2])
	})
	s.serve("/short", list[:len(list)-1])
	s.serve("/empty", nil)
	s.serve("/text", []byte("<html>"))
	s.serve("/forged", testpki.Must(other.CRL(testpki.CRL{})))
	s.crl("/stale", testpki.CRL{ThisUpdate: s.clock.Add(-48 * time.Hour), NextUpdate: s.clock.Add(-24 * time.Hour)})
	s.crl("/future", testpki.CRL{ThisUpdate: s.clock.Add(24 * time.Hour)})
	s.mux.Handle("/loop", http.RedirectHandler("/loop", http.StatusFound))
	s.mux.Handle("/private", http.RedirectHandler("http://127.0.0.2:"+s.port+"/good", http.StatusFound))
	s.mux.Handle("/file", http.RedirectHandler("file:///etc/passwd", http.StatusFound))
	s.mux.Handle("/user", http.RedirectHandler("http://user:secret@pki.test:"+s.port+"/good", http.StatusFound))
	s.mux.Handle("/redirected", http.RedirectHandler("/good", http.StatusMovedPermanently))
	s.serve("/good", list)
	s.cfg.MaxList = 1 << 20
	v := s.validator()
	var wg sync.WaitGroup
	for path, want := range map[string]certs.Reason{
		"/good": "", "/redirected": "",
		"/silent": certs.RevocationUnknown, "/slow": certs.RevocationUnknown, "/huge": certs.RevocationUnknown, "/truncated": certs.RevocationUnknown,
		"/short": certs.RevocationUnknown, "/empty": certs.RevocationUnknown, "/text": certs.RevocationUnknown, "/forged": certs.RevocationUnknown,
		"/stale": certs.RevocationUnknown, "/future": certs.RevocationUnknown, "/loop": certs.RevocationUnknown, "/private": certs.RevocationUnknown,
		"/file": certs.RevocationUnknown, "/user": certs.RevocationUnknown, "/absent": certs.RevocationUnknown,
	} {
		leaf := s.leaf(testpki.Leaf{CRLs: []string{s.url(path)}})
		wg.Go(func() {
			got := v.Check(t.Context(), leaf, certs.Request{Purpose: certs.ForSigning})
			if got.Reason != want {
				t.Errorf("%s: %s %q: %s", path, got.Result, got.Reason, got.Detail)
			}
			if strings.Contains(got.Detail, "secret") {
				t.Errorf("%s: the detail tells a password: %s", path, got.Detail)
			}
		})
	}
	wg.Wait()
}

// TestForbiddenAddresses holds that what is checked is what is dialled.
func TestForbiddenAddresses(t *testing.T) {
	s := newServices(t)
	list := testpki.Must(s.root.CRL(testpki.CRL{}))
	s.serve("/", list)
	loopback := netip.MustParseAddr("127.0.0.1")
	s.names.answers["private.test"] = []netip.Addr{loopback}
	// A public address at first, our own machine at the second look.
	s.names.answers["rebinding.test"] = []netip.Addr{netip.MustParseAddr("203.0.114.9"), loopback}
	var dialled []string
	s.cfg.Allowed = nil
	s.cfg.Dial = func(_ context.Context, _, address string) (net.Conn, error) {
		dialled = append(dialled, address)
		return nil, fmt.Errorf("no listener at %s", address)
	}
	v := s.validator()
	for _, url := range []string{
		"http://private.test:" + s.port + "/", "http://127.0.0.1:" + s.port + "/", "http://[::1]:" + s.port + "/",
		"http://[::ffff:127.0.0.1]:" + s.port + "/", "http://10.1.2.3/", "http://169.254.169.254/latest/", "http://[fe80::1]/",
		"http://[fd00::1]/", "http://0.0.0.0/", "http://100.64.1.1/", "http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/",
		"http://224.0.0.1/", "http://203.0.114.9:25/", "http://203.0.114.9:0/", "ftp://203.0.114.9/", "gopher://203.0.114.9/",
	} {
		s.check(v, s.leaf(testpki.Leaf{CRLs: []string{url}, OCSP: []string{url}}), certs.RevocationUnknown)
	}
	if len(dialled) > 0 {
		t.Errorf("dialled %q", dialled)
	}
	s.check(v, s.leaf(testpki.Leaf{CRLs: []string{"http://rebinding.test/"}}), certs.RevocationUnknown)
	if len(dialled) != 1 || dialled[0] != "203.0.114.9:80" {
		t.Errorf("dialled %q, want the address that was checked", dialled)
	}
	if n := s.asked.Load(); n != 0 {
		t.Errorf("%d requests arrived", n)
	}
}

func TestAnswersAreRemembered(t *testing.T) {
	s := newServices(t)
	var fail atomic.Bool
	var mu sync.Mutex
	next := s.clock.Add(time.Hour)
	s.mux.HandleFunc("/crl", func(w http.ResponseWriter, _ *http.Request) {
		if fail.Load() {
			http.Error(w, "no", http.StatusInternalServerError)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		w.Write(testpki.Must(s.root.CRL(testpki.CRL{ThisUpdate: s.clock.Add(-time.Minute), NextUpdate: next})))
	})
	leaf := s.leaf(testpki.Leaf{CRLs: []string{s.url("/crl")}})
	s.cfg.Stale = 2 * time.Hour
	var offset atomic.Int64
	start := s.clock
	s.cfg.Clock = func() time.Time { return start.Add(time.Duration(offset.Load())) }
	v := s.validator()
	at := func(d time.Duration, want certs.Reason, requests int32) {
		t.Helper()
		offset.Store(int64(d))
		s.clock = start.Add(d)
		s.check(v, leaf, want)
		if n := s.asked.Load(); n != requests {
			t.Errorf("at %v: %d requests, want %d", d, n, requests)
		}
	}
	at(0, "", 1)
	at(30*time.Minute, "", 1)
	fail.Store(true)
	at(61*time.Minute, "", 2)                   // ended, and stale serves on
	at(62*time.Minute, "", 2)                   // the failure is remembered
	at(67*time.Minute, "", 3)                   // for five minutes
	at(4*time.Hour, certs.RevocationUnknown, 4) // not for ever
	fail.Store(false)
	mu.Lock()
	next = start.Add(24 * time.Hour)
	mu.Unlock()
	at(4*time.Hour+6*time.Minute, "", 5)
}

func TestOneFetchServesAll(t *testing.T) {
	s := newServices(t)
	list := testpki.Must(s.root.CRL(testpki.CRL{}))
	arrived := make(chan struct{})
	proceed := make(chan struct{})
	s.mux.HandleFunc("/crl", func(w http.ResponseWriter, _ *http.Request) {
		close(arrived) // a second request panics
		<-proceed
		w.Write(list)
	})
	s.cfg.Timeout = 20 * time.Second
	v := s.validator()
	var wg sync.WaitGroup
	for range 20 {
		leaf := s.leaf(testpki.Leaf{CRLs: []string{s.url("/crl")}})
		wg.Go(func() {
			if got := v.Check(t.Context(), leaf, certs.Request{Purpose: certs.ForSigning}); got.Result != certs.Pass {
				t.Errorf("%+v", got)
			}
		})
	}
	<-arrived
	close(proceed)
	wg.Wait()
}

func TestImpatientCaller(t *testing.T) {
	s := newServices(t)
	proceed := make(chan struct{})
	list := testpki.Must(s.root.CRL(testpki.CRL{}))
	s.mux.HandleFunc("/crl", func(w http.ResponseWriter, _ *http.Request) {
		<-proceed
		w.Write(list)
	})
	s.cfg.Timeout = 20 * time.Second
	v := s.validator()
	leaf := s.leaf(testpki.Leaf{CRLs: []string{s.url("/crl")}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := v.Check(ctx, leaf, certs.Request{Purpose: certs.ForSigning}); got.Reason != certs.RevocationUnknown || got.Result != certs.TempError {
		t.Errorf("%+v", got)
	}
	close(proceed)
	s.check(v, leaf, "") // the same fetch serves the next
	s.fetcher.Close()
	other := s.leaf(testpki.Leaf{CRLs: []string{s.url("/other")}})
	s.check(v, other, certs.RevocationUnknown)
}

func TestIssuersAreFetchedOnlyWhereAsked(t *testing.T) {
	s := newServices(t)
	sub := testpki.Must(s.root.Intermediate(testpki.Options{Name: "Sub", Issuers: []string{s.url("/root")}}))
	s.serve("/sub", sub.Certificate.Raw)
	leaf := testpki.Must(sub.Issue(testpki.Leaf{Issuers: []string{s.url("/sub")}})).Certificate
	v := s.validator()
	s.check(v, leaf, certs.Untrusted)
	if n := s.asked.Load(); n != 0 {
		t.Errorf("%d requests", n)
	}
	v.cfg.ParseIssuers = x509.ParseCertificates
	v.cfg.Revocation = certs.RevocationOff
	s.check(v, leaf, "")
	if n := s.asked.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestAnswersSurviveARestart(t *testing.T) {
	s := newServices(t)
	s.cfg.Timeout = 10 * time.Second
	s.cfg.Cache = filepath.Join(t.TempDir(), "cache")
	s.crl("/crl", testpki.CRL{})
	byList := s.leaf(testpki.Leaf{CRLs: []string{s.url("/crl")}})
	byResponder := s.leaf(testpki.Leaf{OCSP: []string{s.url("/ocsp")}})
	itself := &testpki.Identity{Certificate: s.root.Certificate, Key: s.root.Key}
	s.mux.Handle("/ocsp", newResponder(t, s.root, itself, []*x509.Certificate{byResponder}, nil))
	for range 3 {
		v := s.validator()
		s.check(v, byList, "")
		s.check(v, byResponder, "")
	}
	if n := s.asked.Load(); n != 2 {
		t.Errorf("%d requests", n)
	}
	// What lies in the folder is not trusted.
	files := testpki.Must(filepath.Glob(filepath.Join(s.cfg.Cache, "*")))
	if len(files) != 2 {
		t.Errorf("kept: %q", files)
	}
	other := testpki.Must(testpki.NewCA(testpki.Options{}))
	for _, f := range files {
		write(t, 0o600, testpki.Must(other.CRL(testpki.CRL{})), f)
	}
	v := s.validator()
	s.check(v, byResponder, "")
	s.check(v, byList, certs.RevocationUnknown) // for as long as failures are remembered
	s.check(s.validator(), byList, "")
	if n := s.asked.Load(); n != 4 {
		t.Errorf("%d requests", n)
	}
	s.clock = s.clock.Add(60 * 24 * time.Hour)
	s.validator()
	if files := testpki.Must(filepath.Glob(filepath.Join(s.cfg.Cache, "*"))); len(files) != 0 {
		t.Errorf("kept for ever: %q", files)
	}
	s.cfg.Cache = write(t, 0o600, nil, t.TempDir(), "file")
	if _, err := revocation.NewFetcher(s.cfg); err == nil {
		t.Error("a file was taken for the folder")
	}
}
