package est

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/certs/enrol"
	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
)

// server is an EST server that a test scripts.
type server struct {
	t      *testing.T
	ca     *testpki.CA
	attrs  []asn1.ObjectIdentifier
	answer func(w http.ResponseWriter, r *http.Request) bool // true: it answered
	order  *enrol.Order
	asked  []string
	client *x509.Certificate
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	operation := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	s.asked = append(s.asked, operation)
	s.client = nil
	if len(r.TLS.PeerCertificates) > 0 {
		s.client = r.TLS.PeerCertificates[0]
	}
	switch {
	case operation == opCACerts:
		write(w, typePKCS7, testpki.Must(file.EncodeBundle([]*x509.Certificate{s.ca.Certificate})))
	case operation == opAttrs && s.attrs == nil:
		w.WriteHeader(http.StatusNoContent)
	case operation == opAttrs:
		write(w, typeAttrs, testpki.Must(asn1.Marshal(s.attrs)))
	case s.answer != nil && s.answer(w, r):
	default:
		id := testpki.Must(s.ca.Issue(testpki.Leaf{Addresses: []string{s.order.Address.String()}, PrivateKey: s.order.Key}))
		write(w, typePKCS7+"; smime-type=certs-only", testpki.Must(file.EncodeBundle([]*x509.Certificate{id.Certificate})))
	}
}

func newServer(t *testing.T, key string) (*server, *Client) {
	t.Helper()
	s := &server{t: t, ca: testpki.Must(testpki.NewCA(testpki.Options{}))}
	s.order = &enrol.Order{Order: store.Order{ID: "0123456789abcdef", Address: testpki.Must(address.Parse("alice@example.com")),
		Purpose: store.ForBoth, Key: testpki.Must(ca.GenerateKey(key))}}
	h := httptest.NewUnstartedServer(s)
	h.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	h.StartTLS()
	t.Cleanup(h.Close)
	trusted := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(trusted, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return s, testpki.Must(NewClient(ClientConfig{URL: h.URL + "/.well-known/est/", CA: trusted}))
}

// TestClient: enrolled, and renewed with the certificate that the same CA issued.
func TestClient(t *testing.T) {
	s, c := newServer(t, "p256")
	a, err := c.Begin(t.Context(), s.order)
	if err != nil || len(a.Certificates) != 2 || !a.Certificates[1].Equal(s.ca.Certificate) || s.asked[2] != opEnroll || s.client != nil {
		t.Fatalf("%v, %v", s.asked, err)
	}
	s.order.Current = &certs.Identity{Certificate: a.Certificates[0], Key: s.order.Key}
	if _, err := c.Continue(t.Context(), s.order); err != nil || s.asked[5] != opReenroll || s.client == nil || !s.client.Equal(a.Certificates[0]) {
		t.Errorf("%v, %v", s.asked, err)
	}
	other := testpki.Must(testpki.NewCA(testpki.Options{}))
	s.order.Current = (*certs.Identity)(testpki.Must(other.Issue(testpki.Leaf{Addresses: []string{"alice@example.com"}})))
	if _, err := c.Begin(t.Context(), s.order); err != nil || s.asked[8] != opEnroll || s.client != nil {
		t.Errorf("a certificate of another CA was shown: %v, %v", s.asked, err)
	}
}

// TestClientRenewsOneKind: only a certificate of the same names and purpose is renewed; another
// one authenticates a request for a new one.
func TestClientRenewsOneKind(t *testing.T) {
	s, c := newServer(t, "p256")
	for name, one := range map[string]struct {
		leaf      testpki.Leaf
		purpose   store.Purpose
		operation string
	}{
		"the same":        {testpki.Leaf{Addresses: []string{"alice@example.com"}, Name: "Alice of X"}, store.ForBoth, opReenroll},
		"another address": {testpki.Leaf{Addresses: []string{"alice@example.com", "bob@example.com"}, Name: "Alice of X"}, store.ForBoth, opEnroll},
		"another purpose": {testpki.Leaf{Addresses: []string{"alice@example.com"}, Name: "Alice of X"}, store.ForEncryption, opEnroll},
	} {
		s.order.Current, s.order.Purpose, s.asked = (*certs.Identity)(testpki.Must(s.ca.Issue(one.leaf))), one.purpose, nil
		var got *x509.CertificateRequest
		s.answer = func(_ http.ResponseWriter, r *http.Request) bool {
			body := testpki.Must(io.ReadAll(r.Body))
			got = testpki.Must(x509.ParseCertificateRequest(testpki.Must(decode(body))))
			return false
		}
		if _, err := c.Begin(t.Context(), s.order); err != nil || s.asked[2] != one.operation || s.client == nil {
			t.Errorf("%s: %v, %v", name, s.asked, err)
		}
		same := bytes.Equal(got.RawSubject, s.order.Current.Certificate.RawSubject)
		if same != (one.operation == opReenroll) || len(got.EmailAddresses) != 1 {
			t.Errorf("%s: the request is for %s, %v", name, got.Subject, got.EmailAddresses)
		}
	}
}

func TestClientAnswers(t *testing.T) {
	s, c := newServer(t, "p256")
	for name, code := range map[string]struct {
		status  int
		header  string
		after   time.Duration
		refused bool
		says    string
	}{
		"later":           {202, "120", 2 * time.Minute, false, ""},
		"later, some day": {202, "", defaultWait, false, ""},
		"login":           {401, "", 0, false, "401"},
		"refused":         {400, "", 0, true, "400 Bad Request: no such employee"},
		"away":            {503, "60", 0, false, "503"},
		"redirect":        {302, "", 0, false, "302"},
	} {
		s.answer = func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Set("Retry-After", code.header)
			w.Header().Set("Location", "https://127.0.0.1:1/")
			w.WriteHeader(code.status)
			_, _ = w.Write([]byte("no such\n employee"))
			return true
		}
		a, err := c.Begin(t.Context(), s.order)
		refusal := new(enrol.Refusal)
		if a.After != code.after || (err == nil) != (code.says == "") || errors.As(err, &refusal) != code.refused || err != nil && !strings.Contains(err.Error(), code.says) {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
	for name, text := range map[string]string{
		"not base64": "?", "not CMS": base64.StdEncoding.EncodeToString([]byte("x")), "too much": strings.Repeat("A", maxBody+1),
	} {
		s.answer = func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", typePKCS7)
			_, _ = w.Write([]byte(text))
			return true
		}
		if _, err := c.Begin(t.Context(), s.order); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// inToken is a key as one in a token is seen.
type inToken struct{ crypto.Signer }

// TestClientAttributes: a server that wants another kind of key is not asked for a
// certificate that it would refuse.
func TestClientAttributes(t *testing.T) {
	s, c := newServer(t, "p256")
	challenge := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 7}
	for _, attrs := range [][]asn1.ObjectIdentifier{{challenge}, {oidRSA, oidEC}} {
		s.attrs = attrs
		if _, err := c.Begin(t.Context(), s.order); err != nil {
			t.Errorf("%v: %v", attrs, err)
		}
	}
	// Of a key in a token only the public half is known.
	key, ok := s.order.Key.(crypto.Signer)
	if !ok {
		t.Fatal("the key signs nothing")
	}
	s.order.Key = inToken{key}
	if _, err := c.Begin(t.Context(), s.order); err != nil {
		t.Errorf("a key in a token: %v", err)
	}
	s.attrs, s.asked = []asn1.ObjectIdentifier{oidRSA}, nil
	refusal := new(enrol.Refusal)
	if _, err := c.Begin(t.Context(), s.order); !errors.As(err, &refusal) || len(s.asked) != 2 {
		t.Errorf("%v, %v", s.asked, err)
	}
}

// TestClientTrusts only the CA that it was given.
func TestClientTrusts(t *testing.T) {
	s, c := newServer(t, "p256")
	wrong := filepath.Join(t.TempDir(), "wrong.pem")
	if err := os.WriteFile(wrong, testpki.EncodeCertificates(s.ca.Certificate), 0o600); err != nil {
		t.Fatal(err)
	}
	other := testpki.Must(NewClient(ClientConfig{URL: c.URL, CA: wrong}))
	if _, err := other.Begin(t.Context(), s.order); err == nil || len(s.asked) != 0 {
		t.Errorf("a server of a foreign CA was trusted: %v", err)
	}
}
