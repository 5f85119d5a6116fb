package scep

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/enrol"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// testCA issues to those who know a secret, or have a certificate of the CA.
type testCA struct {
	t     *testing.T
	ca    *testpki.CA
	ra    *certs.Identity
	err   error
	asked []Request
}

func (d *testCA) RA(context.Context) (*certs.Identity, []*x509.Certificate, error) {
	return d.ra, []*x509.Certificate{d.ca.Certificate}, nil
}

func (d *testCA) Keys(_ context.Context, rid cms.ID) ([]*certs.Identity, error) {
	if !bytes.Equal(rid.RawIssuer, d.ra.Certificate.RawIssuer) {
		return nil, nil
	}
	return []*certs.Identity{d.ra}, nil
}

func (d *testCA) Enroll(_ context.Context, r Request) (*x509.Certificate, error) {
	d.asked = append(d.asked, r)
	if d.err != nil {
		return nil, d.err
	}
	if r.Renews == nil && r.Challenge != "the secret" {
		return nil, ErrUnauthorized
	}
	return testpki.Must(d.ca.Issue(testpki.Leaf{Addresses: []string{alice}, Key: "rsa2048", PublicKeyInfo: r.CSR.RawSubjectPublicKeyInfo})).Certificate, nil
}

func newCA(t *testing.T) (*testCA, *httptest.Server) {
	t.Helper()
	d := &testCA{t: t, ca: testpki.Must(testpki.NewCA(testpki.Options{}))}
	d.ra = (*certs.Identity)(testpki.Must(d.ca.Issue(testpki.Leaf{Addresses: []string{"ra@example.com"}, Key: "rsa2048"})))
	h := httptest.NewServer(&Server{Log: slog.New(slog.DiscardHandler), CA: func() (CA, func(), error) { return d, func() {}, nil }})
	t.Cleanup(h.Close)
	return d, h
}

func (d *testCA) client(h *httptest.Server, secret string) *Client {
	d.t.Helper()
	password := filepath.Join(d.t.TempDir(), "challenge")
	if err := os.WriteFile(password, []byte(secret), 0o600); err != nil {
		d.t.Fatal(err)
	}
	return testpki.Must(NewClient(ClientConfig{URL: h.URL + Path, PasswordFile: password, Clock: time.Now,
		Fingerprint: fingerprintOf(d.ca.Certificate), RAFingerprint: fingerprintOf(d.ra.Certificate)}))
}

// TestServer: a client gets a certificate with a challenge password, and renews it without;
// what is wrong is refused, and what may pass is not.
func TestServer(t *testing.T) {
	d, h := newCA(t)
	o := order(t, nil)
	a, err := d.client(h, "the secret").Begin(t.Context(), o)
	if err != nil || d.asked[0].Challenge != "the secret" || d.asked[0].Renews != nil {
		t.Fatalf("%v, %+v", err, d.asked)
	}
	id := &certs.Identity{Certificate: a.Certificates[0], Key: o.Key}
	if err := id.Check(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.client(h, "x").Begin(t.Context(), order(t, id)); err != nil || !d.asked[1].Renews.Equal(id.Certificate) || d.asked[1].Challenge != "" {
		t.Errorf("not renewed: %v", err)
	}
	for says, cause := range map[string]error{
		"not one for the address": ErrUnauthorized, "names another address": &enrol.Refusal{Cause: errors.New("the request names another address")}, "503": errors.New("away"),
	} {
		d.err = cause
		_, err := d.client(h, "the secret").Begin(t.Context(), order(t, nil))
		refusal := new(enrol.Refusal)
		if err == nil || !strings.Contains(err.Error(), says) || errors.As(err, &refusal) != (says != "503") {
			t.Errorf("%s: %v", says, err)
		}
	}
}

// TestServerRefuses: a request that another key signed, one that is encrypted to others, and
// what is no message, reach no CA.
func TestServerRefuses(t *testing.T) {
	d, h := newCA(t)
	mallory := (*certs.Identity)(testpki.Must(d.ca.Issue(testpki.Leaf{Addresses: []string{"mallory@example.com"}, Key: "rsa2048"})))
	csr := testpki.Must(order(t, nil).CSR())
	stranger := testpki.Must(testpki.Must(testpki.NewCA(testpki.Options{})).Issue(testpki.Leaf{Addresses: []string{alice}, Key: "rsa2048"}))
	build := func(k kind, content []byte, to *x509.Certificate) *message {
		return &message{kind: k, transaction: "1", sender: newNonce(), content: testpki.Must(seal(content, to))}
	}
	for name, one := range map[string]struct {
		message *message
		fail    string
	}{
		"signed by another key": {build(pkcsReq, csr, d.ra.Certificate), badMessageCheck},
		"encrypted to another":  {build(pkcsReq, csr, stranger.Certificate), badMessageCheck},
		"no request":            {build(pkcsReq, []byte("x"), d.ra.Certificate), badMessageCheck},
		"no content":            {&message{kind: pkcsReq, transaction: "1", sender: newNonce()}, badMessageCheck},
		"a poll":                {build(certPoll, csr, d.ra.Certificate), badCertID},
		"an answer":             {build(certRep, csr, d.ra.Certificate), badCertID},
	} {
		status, body := post(t, h, testpki.Must(one.message.encode(partyOf(t, mallory))))
		m, err := parse(body, nil)
		if status != http.StatusOK || err != nil || m.status != failure || m.fail != one.fail || !bytes.Equal(m.recipient, one.message.sender) || !m.signer.Equal(d.ra.Certificate) {
			t.Errorf("%s: %d, %v, %+v", name, status, err, m)
		}
	}
	tampered := testpki.Must(build(pkcsReq, csr, d.ra.Certificate).encode(partyOf(t, mallory)))
	tampered[len(tampered)-1] ^= 1
	for name, der := range map[string][]byte{"rubbish": []byte("x"), "tampered": tampered, "too long": make([]byte, maxRequest+1)} {
		if status, _ := post(t, h, der); status < 400 || status >= 500 {
			t.Errorf("%s: %d", name, status)
		}
	}
	if len(d.asked) != 0 {
		t.Errorf("asked the CA: %+v", d.asked)
	}
}

func post(t *testing.T, h *httptest.Server, der []byte) (int, []byte) {
	t.Helper()
	r := testpki.Must(http.NewRequestWithContext(t.Context(), http.MethodPost, h.URL+Path+"?operation="+opPKI, bytes.NewReader(der)))
	answer := testpki.Must(h.Client().Do(r))
	defer answer.Body.Close()
	return answer.StatusCode, testpki.Must(io.ReadAll(answer.Body))
}

// TestServerWithOpenSSL: openssl verifies an answer, decrypts it, and finds the certificate.
func TestServerWithOpenSSL(t *testing.T) {
	d, h := newCA(t)
	o := order(t, nil)
	c := d.client(h, "the secret")
	can := testpki.Must(c.capabilities(t.Context()))
	ca := testpki.Must(c.authority(t.Context()))
	key, ok := o.Key.(*rsa.PrivateKey)
	if !ok {
		t.Fatal("no RSA key")
	}
	m, by, err := c.build(o, key, ca, can)
	if err != nil {
		t.Fatal(err)
	}
	_, body := post(t, h, testpki.Must(m.encode(by)))
	dir := t.TempDir()
	for name, data := range map[string][]byte{
		"answer.der": body, "ca.pem": testpki.EncodeCertificates(d.ca.Certificate), "client.pem": testpki.EncodeCertificates(by.certificate),
		"client.key": testpki.Must((&testpki.Identity{Certificate: by.certificate, Key: o.Key}).KeyPEM()),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `set -eu
openssl cms -verify -CAfile ca.pem -purpose any -binary -inform DER -in answer.der -out envelope.der 2>&1
openssl cms -cmsout -print -inform DER -in answer.der | grep -A3 '1.9.3'
openssl cms -decrypt -binary -inform DER -in envelope.der -recip client.pem -inkey client.key -out bundle.der
openssl pkcs7 -inform DER -in bundle.der -print_certs -out cert.pem
openssl verify -CAfile ca.pem cert.pem
test "$(openssl x509 -in cert.pem -noout -pubkey)" = "$(openssl pkey -in client.key -pubout)"
`)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "cert.pem: OK") || !strings.Contains(string(out), "PRINTABLESTRING:0") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestServerDowngrade: algorithms that the protocol once had are refused in what would be good otherwise;
// and deep ASN.1.
func TestServerDowngrade(t *testing.T) {
	d, h := newCA(t)
	o := order(t, nil)
	c := d.client(h, "the secret")
	key, ok := o.Key.(*rsa.PrivateKey)
	if !ok {
		t.Fatal("no RSA key")
	}
	m, by, err := c.build(o, key, testpki.Must(c.authority(t.Context())), testpki.Must(c.capabilities(t.Context())))
	if err != nil {
		t.Fatal(err)
	}
	csr := testpki.Must(m.open(partyOf(t, d.ra)))
	good := m.content
	for cipher, want := range map[string]string{"-des3": failure, "-des-cbc -provider legacy -provider default": failure, "-aes128": success} {
		m.content = openssl(t, csr, "cms -encrypt -binary -outform DER "+cipher+" to.pem", map[string][]byte{"to.pem": testpki.EncodeCertificates(d.ra.Certificate)})
		_, body := post(t, h, testpki.Must(m.encode(by)))
		if answer, err := parse(body, nil); err != nil || answer.status != want || want == failure && answer.fail != badMessageCheck {
			t.Errorf("%s: %v, %+v", cipher, err, answer)
		}
	}
	m.content = good
	signer := map[string][]byte{"by.pem": testpki.EncodeCertificates(by.certificate), "by.key": testpki.Must((&testpki.Identity{Certificate: by.certificate, Key: o.Key}).KeyPEM())}
	for name, der := range map[string][]byte{
		"SHA-1":      openssl(t, good, "cms -sign -md sha1 -nodetach -binary -outform DER -signer by.pem -inkey by.key", signer),
		"deep ASN.1": append(bytes.Repeat([]byte{0x30, 0x80}, 20_000), make([]byte, 40)...),
		"no octet":   nil,
	} {
		if status, body := post(t, h, der); status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	if len(d.asked) != 1 {
		t.Errorf("the CA was asked %d times", len(d.asked))
	}
}

// openssl runs a command on a text, in a folder with files.
func openssl(t *testing.T, text []byte, command string, files map[string][]byte) []byte {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "openssl", strings.Fields(command)...)
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(text)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("openssl %s: %v", command, err)
	}
	return out
}
