package path

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/certs/revocation"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// responder answers OCSP requests with `openssl ocsp`.
type responder struct {
	t      *testing.T
	dir    string
	ca     *testpki.CA
	args   []string
	change func([]byte) []byte
}

// newResponder writes the database that openssl wants: serials that are good and
// those that are revoked.
func newResponder(t *testing.T, ca *testpki.CA, signer *testpki.Identity, good, revoked []*x509.Certificate) *responder {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Fatal("install openssl: apt-get install openssl")
	}
	dir := t.TempDir()
	var index strings.Builder
	serial := func(n *big.Int) string {
		text := strings.ToUpper(n.Text(16))
		return strings.Repeat("0", len(text)%2) + text
	}
	for _, c := range good {
		fmt.Fprintf(&index, "V\t350101000000Z\t\t%s\tunknown\t/CN=good\n", serial(c.SerialNumber))
	}
	for _, c := range revoked {
		fmt.Fprintf(&index, "R\t350101000000Z\t250101000000Z,keyCompromise\t%s\tunknown\t/CN=bad\n", serial(c.SerialNumber))
	}
	write(t, 0o600, []byte(index.String()), dir, "index.txt")
	write(t, 0o600, testpki.EncodeCertificates(ca.Certificate), dir, "ca.pem")
	write(t, 0o600, testpki.EncodeCertificates(signer.Certificate), dir, "signer.pem")
	write(t, 0o600, testpki.Must(signer.KeyPEM()), dir, "signer.key")
	return &responder{t: t, dir: dir, ca: ca, args: []string{"-ndays", "1"}}
}

func (r *responder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil || req.Header.Get("Content-Type") != "application/ocsp-request" {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	f, err := os.CreateTemp(r.dir, "req")
	if err != nil {
		r.t.Error(err)
		return
	}
	f.Write(body)
	f.Close()
	args := append([]string{"ocsp", "-index", "index.txt", "-CA", "ca.pem", "-rsigner", "signer.pem", "-rkey", "signer.key",
		"-reqin", f.Name(), "-respout", f.Name() + ".resp"}, r.args...)
	cmd := exec.Command("openssl", args...)
	cmd.Dir = r.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Errorf("openssl: %v\n%s", err, out)
	}
	data, err := os.ReadFile(filepath.Clean(f.Name() + ".resp"))
	if err != nil {
		r.t.Error(err)
	}
	if r.change != nil {
		data = r.change(data)
	}
	w.Header().Set("Content-Type", "application/ocsp-response")
	w.Write(data)
}

func TestOCSP(t *testing.T) {
	s := newServices(t)
	s.cfg.Timeout = 10 * time.Second
	ocspSigning := testpki.Leaf{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}, KeyUsage: x509.KeyUsageDigitalSignature}
	issue := func(ca *testpki.CA, l testpki.Leaf) *testpki.Identity { return testpki.Must(ca.Issue(l)) }
	itself := &testpki.Identity{Certificate: s.root.Certificate, Key: s.root.Key}
	delegated := issue(s.root, ocspSigning)
	rsaSigner := ocspSigning
	rsaSigner.Key = "rsa2048"
	expired := ocspSigning
	expired.NotAfter = s.clock.Add(-time.Minute)
	// The same name, another key.
	imposter := testpki.Must(testpki.NewCA(testpki.Options{}))
	for i, c := range []struct {
		name   string
		signer *testpki.Identity
		args   []string
		change func([]byte) []byte
		bad    bool // the certificate is revoked
		absent bool // the responder does not know it
		want   certs.Reason
		detail string
	}{
		{name: "good, by the issuer", signer: itself},
		{name: "good, delegated", signer: delegated},
		{name: "good, delegated to an RSA key", signer: issue(s.root, rsaSigner)},
		{name: "revoked", signer: delegated, bad: true, want: certs.Revoked, detail: "key compromise"},
		{name: "revoked, by the issuer", signer: itself, bad: true, want: certs.Revoked},
		{name: "without nextUpdate", signer: delegated, args: []string{"-resp_key_id"}},
		{name: "unknown to it", signer: delegated, absent: true, want: certs.RevocationUnknown, detail: "does not know"},
		{name: "not for OCSP", signer: issue(s.root, testpki.Leaf{}), want: certs.RevocationUnknown, detail: "not for OCSP"},
		{name: "not for signatures", signer: issue(s.root, testpki.Leaf{ExtKeyUsage: ocspSigning.ExtKeyUsage, KeyUsage: x509.KeyUsageKeyAgreement}),
			want: certs.RevocationUnknown, detail: "not for signatures"},
		{name: "expired responder", signer: issue(s.root, expired), want: certs.RevocationUnknown, detail: "not valid now"},
		{name: "another authority", signer: issue(imposter, ocspSigning), want: certs.RevocationUnknown, detail: "not from the issuer"},
		{name: "imposter", signer: &testpki.Identity{Certificate: imposter.Certificate, Key: imposter.Key}, want: certs.RevocationUnknown, detail: "not from the issuer"},
		{name: "without its certificate", signer: delegated, args: []string{"-ndays", "1", "-resp_no_certs"}, want: certs.RevocationUnknown, detail: "not signed by an authorized responder"},
		{name: "SHA-1", signer: delegated, args: []string{"-ndays", "1", "-rmd", "sha1"}, want: certs.RevocationUnknown, detail: "SHA-1"},
		{name: "changed", signer: delegated, change: func(b []byte) []byte { b[len(b)/3] ^= 1; return b }, want: certs.RevocationUnknown},
		{name: "truncated", signer: delegated, change: func(b []byte) []byte { return b[:len(b)/2] }, want: certs.RevocationUnknown},
		{name: "empty", signer: delegated, change: func([]byte) []byte { return nil }, want: certs.RevocationUnknown},
		{name: "huge", signer: delegated, change: func(b []byte) []byte { return append(b, make([]byte, 1<<20)...) }, want: certs.RevocationUnknown, detail: "too long"},
		{name: "try later", signer: delegated, change: func([]byte) []byte { return []byte{0x30, 3, 0x0a, 1, 3} }, want: certs.RevocationUnknown, detail: "try later"},
	} {
		path := fmt.Sprintf("/ocsp%d", i)
		leaf := s.leaf(testpki.Leaf{OCSP: []string{s.url(path)}})
		other := s.leaf(testpki.Leaf{})
		good, revoked := []*x509.Certificate{leaf}, []*x509.Certificate{other}
		if c.bad {
			good, revoked = revoked, good
		}
		if c.absent {
			good = nil
		}
		r := newResponder(t, s.root, c.signer, good, revoked)
		if c.args != nil {
			r.args = c.args
		}
		r.change = c.change
		s.mux.Handle(path, r)
		v := s.validator()
		got := v.Check(t.Context(), leaf, certs.Request{Purpose: certs.ForSigning})
		if got.Reason != c.want || !strings.Contains(got.Detail, c.detail) {
			t.Errorf("%s: %s %q: %s; want %q", c.name, got.Result, got.Reason, got.Detail, c.want)
		}
		asked := s.asked.Load()
		again := v.Check(t.Context(), leaf, certs.Request{Purpose: certs.ForSigning})
		if again.Reason != c.want || s.asked.Load() != asked {
			t.Errorf("%s: asked again: %q", c.name, again.Reason)
		}
	}
}

// A responder to whom the authority has delegated may be revoked itself, unless
// the authority says that it need not be asked.
func TestOCSPResponderRevoked(t *testing.T) {
	s := newServices(t)
	s.cfg.Timeout = 10 * time.Second
	noCheck := func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, Value: asn1.NullBytes})
	}
	for i, c := range []struct {
		name    string
		points  string // of the responder: "", "/list" or "/absent"
		noCheck bool
		revoked bool
		known   bool // the list is configured
		want    certs.Reason
		detail  string
	}{
		{name: "on no list", points: "/list"},
		{name: "on the list", points: "/list", revoked: true, want: certs.RevocationUnknown, detail: "the certificate of the OCSP responder was revoked"},
		{name: "no list to be had", points: "/absent", want: certs.RevocationUnknown, detail: "the status of the OCSP responder is unknown"},
		{name: "names no list", points: ""},
		{name: "on a list that is known", points: "", revoked: true, known: true, want: certs.RevocationUnknown, detail: "the certificate of the OCSP responder was revoked"},
		{name: "need not be asked about", points: "/absent", noCheck: true},
		{name: "need not be asked about, and is on the list", points: "/list", noCheck: true, revoked: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := testpki.Leaf{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}, KeyUsage: x509.KeyUsageDigitalSignature}
			if c.points != "" {
				l.CRLs = []string{s.url(fmt.Sprintf("%s%d", c.points, i))}
			}
			if c.noCheck {
				l.Edit = noCheck
			}
			signer := testpki.Must(s.root.Issue(l))
			list := testpki.CRL{}
			if c.revoked {
				list.Revoked = []*x509.Certificate{signer.Certificate}
			}
			s.crl(fmt.Sprintf("/list%d", i), list)
			leaf := s.leaf(testpki.Leaf{OCSP: []string{s.url(fmt.Sprintf("/ocsp%d", i))}})
			s.mux.Handle(fmt.Sprintf("/ocsp%d", i), newResponder(t, s.root, signer, []*x509.Certificate{leaf}, nil))
			v, request := s.validator(), certs.Request{Purpose: certs.ForSigning}
			if c.known {
				// A list for some reasons only does not make the leaf good: its
				// responder is asked.
				list.Reason = 1
				list.Extensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: []byte{0x30, 4, 0x83, 2, 6, 0x40}}}
				request.CRLs = [][]byte{testpki.Must(s.root.CRL(list))}
			}
			got := v.Check(t.Context(), leaf, request)
			if got.Reason != c.want || !strings.Contains(got.Detail, c.detail) {
				t.Errorf("%q: %s; want %q", got.Reason, got.Detail, c.want)
			}
		})
	}
}

func TestOCSPAnswerForAnotherCertificate(t *testing.T) {
	s := newServices(t)
	s.cfg.Timeout = 10 * time.Second
	itself := &testpki.Identity{Certificate: s.root.Certificate, Key: s.root.Key}
	good := s.leaf(testpki.Leaf{})
	bad := s.leaf(testpki.Leaf{OCSP: []string{s.url("/replay")}})
	r := newResponder(t, s.root, itself, []*x509.Certificate{good}, []*x509.Certificate{bad})
	recorded := httptest.NewRecorder()
	request := testpki.Must(revocation.Request(good, s.root.Certificate))
	req := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(request))
	req.Header.Set("Content-Type", "application/ocsp-request")
	r.ServeHTTP(recorded, req)
	s.serve("/replay", recorded.Body.Bytes())
	got := s.check(s.validator(), bad, certs.RevocationUnknown)
	if !strings.Contains(got.Detail, "about other certificates") {
		t.Errorf("detail %q", got.Detail)
	}
}

func TestOCSPFailsAndListServes(t *testing.T) {
	s := newServices(t)
	s.crl("/crl", testpki.CRL{})
	leaf := s.leaf(testpki.Leaf{OCSP: []string{s.url("/absent")}, CRLs: []string{s.url("/crl")}})
	s.check(s.validator(), leaf, "")
}

func write(t *testing.T, mode os.FileMode, data []byte, path ...string) string {
	t.Helper()
	file := filepath.Join(path...)
	if err := os.WriteFile(file, data, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, mode); err != nil {
		t.Fatal(err)
	}
	return file
}

// Lists that were opened from files count like those that are given in memory.
func TestOpenedLists(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	dir := t.TempDir()
	write(t, 0o644, testpki.Must(ca.CRL(testpki.CRL{})), dir, "a.crl")
	v := newValidator(t, Config{Lists: testpki.Must(file.OpenLists(dir, t.TempDir())), Revocation: certs.RevocationRequire}, ca)
	if got := v.Check(t.Context(), testpki.Must(ca.Issue(testpki.Leaf{})).Certificate, certs.Request{Purpose: certs.ForSigning}); got.Revocation != "good" {
		t.Errorf("%+v", got)
	}
}
