package ocsp_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
	xocsp "golang.org/x/crypto/ocsp"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/certs/ocsp"
	"github.com/smimerelay/smimerelay/certs/path"
	"github.com/smimerelay/smimerelay/certs/revocation"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
)

// world is an authority with a responder on a web server.
type world struct {
	t       *testing.T
	pair    *ca.Pair
	issuing *ca.Authority
	store   *store.Store
	url     string

	mu      sync.Mutex
	counted map[string]int
	status  func(context.Context, *big.Int) (ocsp.Status, error) // nil: that of the store
}

func newWorld(t *testing.T, key string) *world {
	t.Helper()
	w := &world{t: t, counted: map[string]int{}}
	w.store = testpki.Must(store.Open(t.Context(), store.Config{}))
	t.Cleanup(func() { w.store.Close() })
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { handler.ServeHTTP(rw, r) }))
	t.Cleanup(server.Close)
	w.url = server.URL + "/ocsp"
	w.pair = testpki.Must(ca.Create(ca.Plan{Organization: "Example", Country: "DE", URL: server.URL, Key: key}))
	w.issuing = testpki.Must(ca.New(ca.Config{
		Certificate: w.pair.Issuing.Certificate, Key: w.pair.Issuing.Key.(crypto.Signer), Ledger: w.store,
		Place: ca.Place{URL: server.URL, Name: ca.Issuing}, OCSP: true,
	}))
	cert, signer, err := w.issuing.Delegate()
	if err != nil {
		t.Fatal(err)
	}
	handler = w.server(ocsp.Delegate{Certificate: cert, Key: signer}).Below("/ocsp", http.NotFoundHandler())
	return w
}

func (w *world) server(d ocsp.Delegate) *ocsp.Server {
	return ocsp.New(ocsp.Server{
		Clock: time.Now, Log: slog.New(slog.DiscardHandler),
		Count: func(result string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.counted[result]++
		},
		Authorities: func() ([]ocsp.Authority, time.Duration, func()) {
			return []ocsp.Authority{{
				Certificate: w.pair.Issuing.Certificate,
				Delegate:    func() (ocsp.Delegate, error) { return d, nil },
				Status: func(ctx context.Context, serial *big.Int) (s ocsp.Status, err error) {
					if w.status != nil {
						return w.status(ctx, serial)
					}
					s.Known, s.RevokedAt, s.Reason, err = w.store.Status(ctx, w.pair.Issuing.Certificate.RawSubject, serial)
					return s, err
				},
			}}, time.Hour, func() {}
		},
	})
}

func (w *world) issue(addr string) *certs.Identity {
	w.t.Helper()
	return testpki.Must(w.issuing.Issue(w.t.Context(), ca.Request{Address: testpki.Must(address.Parse(addr)), Key: "p256"}))[0]
}

func (w *world) revoke(id *certs.Identity, reason ca.Reason) {
	w.t.Helper()
	testpki.Must(w.issuing.Revoke(w.t.Context(), id.Certificate, reason))
}

// unknown is a certificate of the authority that the ledger does not have.
func (w *world) unknown() *x509.Certificate {
	w.t.Helper()
	other := *w.issuing
	other.Ledger = testpki.Must(store.Open(w.t.Context(), store.Config{}))
	return testpki.Must(other.Issue(w.t.Context(), ca.Request{Address: testpki.Must(address.Parse("x@example.org")), Key: "p256"}))[0].Certificate
}

// post sends a request, and returns the answer with its status.
func (w *world) post(der []byte) []byte {
	w.t.Helper()
	r := testpki.Must(http.Post(w.url, "application/ocsp-request", bytes.NewReader(der)))
	return w.read(r)
}

func (w *world) get(text string) ([]byte, http.Header) {
	w.t.Helper()
	r := testpki.Must(http.Get(w.url + "/" + text))
	return w.read(r), r.Header
}

func (w *world) read(r *http.Response) []byte {
	w.t.Helper()
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != "application/ocsp-response" {
		w.t.Errorf("%s, %v", r.Status, r.Header)
	}
	return testpki.Must(io.ReadAll(r.Body))
}

// TestOpenSSLAsks: with a nonce and without, about certificates in each state.
func TestOpenSSLAsks(t *testing.T) {
	for _, key := range []string{"rsa2048", "p384"} {
		t.Run(key, func(t *testing.T) {
			w, dir := newWorld(t, key), t.TempDir()
			good, revoked, former := w.issue("a@example.org"), w.issue("b@example.org"), w.issue("c@example.org")
			w.revoke(revoked, ca.KeyCompromise)
			w.revoke(former, ca.Unspecified)
			write := func(name string, list ...*x509.Certificate) string {
				t.Helper()
				path := filepath.Join(dir, name)
				if err := os.WriteFile(path, testpki.EncodeCertificates(list...), 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			}
			root, issuing := write("root.pem", w.pair.Root.Certificate), write("issuing.pem", w.pair.Issuing.Certificate)
			for name, c := range map[string]struct {
				cert *x509.Certificate
				want []string
			}{
				"good":    {good.Certificate, []string{"subject.pem: good"}},
				"revoked": {revoked.Certificate, []string{"subject.pem: revoked", "Reason: keyCompromise"}},
				"former":  {former.Certificate, []string{"subject.pem: revoked"}},
				"unknown": {w.unknown(), []string{"subject.pem: unknown"}},
			} {
				for _, more := range [][]string{{"-nonce"}, {"-no_nonce"}, {"-sha256"}} {
					args := append([]string{"ocsp", "-issuer", issuing, "-CAfile", root, "-verify_other", issuing, "-url", w.url}, more...)
					args = append(args, "-cert", write("subject.pem", c.cert))
					cmd := exec.Command("openssl", args...)
					cmd.Dir = dir
					out, err := cmd.CombinedOutput()
					text := strings.ReplaceAll(string(out), dir+"/", "")
					if err != nil || !strings.Contains(text, "Response verify OK") || strings.Contains(text, "WARNING") || strings.Contains(text, "Nonce Verify error") {
						t.Errorf("%s %q: %v\n%s", name, more, err, text)
					}
					for _, want := range c.want {
						if !strings.Contains(text, want) {
							t.Errorf("%s %q: no %q in\n%s", name, more, want, text)
						}
					}
				}
			}
		})
	}
}

// TestGatewayAsks: the gateway's own validator, by the address in the certificate, for
// all kinds of keys that an authority may have.
func TestGatewayAsks(t *testing.T) {
	for _, key := range []string{"rsa2048", "p256", "ml-dsa-65"} {
		t.Run(key, func(t *testing.T) {
			w := newWorld(t, key)
			good, revoked := w.issue("a@example.org"), w.issue("b@example.org")
			w.revoke(revoked, ca.Superseded)
			v := testpki.Must(path.NewValidator(path.Config{
				Anchors: []*x509.Certificate{w.pair.Issuing.Certificate}, Revocation: certs.RevocationRequire,
				Fetcher: testpki.Must(revocation.NewFetcher(revocation.FetchConfig{Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})),
			}))
			for id, want := range map[*certs.Identity]string{good: "good", revoked: "revoked"} {
				d := v.Check(t.Context(), id.Certificate, certs.Request{Purpose: certs.ForSigning, Addresses: certs.Addresses(id.Certificate)})
				if d.Revocation != want {
					t.Errorf("%s: %+v", want, d)
				}
			}
		})
	}
}

// nonced adds a nonce to a request.
func nonced(t *testing.T, der []byte, value []byte) []byte {
	t.Helper()
	var outer, tbs, list cryptobyte.String
	s := cryptobyte.String(der)
	if !s.ReadASN1(&outer, cryptobyte_asn1.SEQUENCE) || !outer.ReadASN1(&tbs, cryptobyte_asn1.SEQUENCE) || !tbs.ReadASN1Element(&list, cryptobyte_asn1.SEQUENCE) {
		t.Fatal("the request cannot be read")
	}
	var b cryptobyte.Builder
	b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(list)
			b.AddASN1(cryptobyte_asn1.Tag(2).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
				b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2})
						b.AddASN1(cryptobyte_asn1.OCTET_STRING, func(b *cryptobyte.Builder) { b.AddASN1OctetString(value) })
					})
				})
			})
		})
	})
	return b.BytesOrPanic()
}

// TestNonce: those of RFC 9654 come back, others make a request malformed; and only an
// answer without one may be kept by a proxy.
func TestNonce(t *testing.T) {
	w := newWorld(t, "p256")
	cert := w.issue("a@example.org").Certificate
	plain := testpki.Must(revocation.Request(cert, w.pair.Issuing.Certificate))
	for length, good := range map[int]bool{0: false, 1: true, 16: true, 32: true, 128: true, 129: false} {
		value := bytes.Repeat([]byte{7}, length)
		answer := w.post(nonced(t, plain, value))
		if !good {
			if !bytes.Equal(answer, xocsp.MalformedRequestErrorResponse) {
				t.Errorf("%d octets: %x", length, answer)
			}
			continue
		}
		if _, err := xocsp.ParseResponseForCert(answer, cert, w.pair.Issuing.Certificate); err != nil || !bytes.Contains(answer, append([]byte{4, byte(length)}, value...)) && length < 128 {
			t.Errorf("%d octets: %v, %x", length, err, answer)
		}
	}
	for name, c := range map[string]struct {
		der   []byte
		cache string
	}{
		"plain": {plain, "max-age=300"}, "with a nonce": {nonced(t, plain, make([]byte, 32)), "no-store"},
		"with slashes": {nonced(t, plain, bytes.Repeat([]byte{255}, 32)), "no-store"},
	} {
		text := base64.StdEncoding.EncodeToString(c.der)
		for _, form := range []string{text, strings.NewReplacer("+", "%2B", "/", "%2F", "=", "%3D").Replace(text)} {
			answer, header := w.get(form)
			r, err := xocsp.ParseResponseForCert(answer, cert, w.pair.Issuing.Certificate)
			if err != nil || r.Status != xocsp.Good || !strings.Contains(header.Get("Cache-Control"), c.cache) {
				t.Errorf("%s by GET: %v, %v", name, err, header)
			}
		}
	}
}

// TestNoAnswers: what is malformed, about others, or cannot be found out now.
func TestNoAnswers(t *testing.T) {
	w := newWorld(t, "p256")
	cert := w.issue("a@example.org").Certificate
	plain := testpki.Must(revocation.Request(cert, w.pair.Issuing.Certificate))
	stranger := newWorld(t, "p256")
	for name, c := range map[string]struct{ der, want []byte }{
		"nothing":           {nil, xocsp.MalformedRequestErrorResponse},
		"rubbish":           {[]byte("x"), xocsp.MalformedRequestErrorResponse},
		"more behind it":    {append(bytes.Clone(plain), 0), xocsp.MalformedRequestErrorResponse},
		"too long":          {make([]byte, 20<<10), xocsp.MalformedRequestErrorResponse},
		"of another CA":     {testpki.Must(revocation.Request(stranger.issue("a@example.org").Certificate, stranger.pair.Issuing.Certificate)), xocsp.UnauthorizedErrorResponse},
		"about the issuing": {testpki.Must(revocation.Request(w.pair.Issuing.Certificate, w.pair.Root.Certificate)), xocsp.UnauthorizedErrorResponse},
	} {
		if got := w.post(c.der); !bytes.Equal(got, c.want) {
			t.Errorf("%s: %x", name, got)
		}
	}
	for path, want := range map[string]int{"": http.StatusNotFound, "/ocspx": http.StatusNotFound, "/ocsp": http.StatusOK, "/ocsp/": http.StatusOK} {
		if got := testpki.Must(http.Get(strings.TrimSuffix(w.url, "/ocsp") + path)); got.StatusCode != want {
			t.Errorf("%q: %s", path, got.Status)
		}
	}
	r := testpki.Must(http.NewRequestWithContext(t.Context(), http.MethodPut, w.url, nil))
	if got := testpki.Must(http.DefaultClient.Do(r)); got.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("PUT: %s", got.Status)
	}
	w.status = func(context.Context, *big.Int) (ocsp.Status, error) { return ocsp.Status{}, errors.New("store down") }
	if got := w.post(plain); !bytes.Equal(got, xocsp.TryLaterErrorResponse) {
		t.Errorf("without the store: %x", got)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := fmt.Sprint(w.counted); got != "map[failed:1 malformed:6 unauthorized:2]" {
		t.Error(got)
	}
}
