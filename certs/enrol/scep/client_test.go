package scep

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
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

const alice = "alice@example.com"

// server is a SCEP server that a test scripts: a CA with one who acts for it.
type server struct {
	t      *testing.T
	ca     *testpki.CA
	ra     *certs.Identity
	caps   string
	status string
	fail   string
	change func(*message)          // of the answer
	answer func(r *message) []byte // instead of it

	got    []*message // what came, newest last
	raw    [][]byte
	csr    *x509.CertificateRequest
	method string
}

func newServer(t *testing.T) (*server, *Client) {
	t.Helper()
	s := &server{t: t, ca: testpki.Must(testpki.NewCA(testpki.Options{})), caps: "AES\r\nSHA-256\r\nPOSTPKIOperation\r\nRenewal\r\n", status: success}
	s.ra = s.issue(testpki.Leaf{Addresses: []string{"ra@example.com"}, Key: "rsa2048"})
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	password := filepath.Join(t.TempDir(), "challenge")
	if err := os.WriteFile(password, []byte("the secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return s, testpki.Must(NewClient(ClientConfig{URL: h.URL + "/scep", PasswordFile: password, Clock: time.Now,
		Fingerprint: fmt.Sprintf("%X", sha256.Sum256(s.ca.Certificate.Raw)), RAFingerprint: fmt.Sprintf("%X", sha256.Sum256(s.ra.Certificate.Raw))}))
}

// partyOf is an identity with an RSA key.
func partyOf(t *testing.T, id *certs.Identity) *party {
	t.Helper()
	key, ok := id.Key.(*rsa.PrivateKey)
	if !ok {
		t.Fatalf("a key of type %T", id.Key)
	}
	return &party{id.Certificate, key}
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.FormValue("operation") {
	case opCaps:
		_, _ = io.WriteString(w, s.caps)
	case opCerts:
		w.Header().Set("Content-Type", typeRA)
		_, _ = w.Write(testpki.Must(file.EncodeBundle([]*x509.Certificate{s.ra.Certificate, s.ca.Certificate})))
	case opPKI:
		s.method = r.Method
		der := testpki.Must(base64.StdEncoding.DecodeString(r.FormValue("message")))
		if r.Method == http.MethodPost {
			der = testpki.Must(io.ReadAll(r.Body))
		}
		m, err := parse(der, nil)
		if err != nil {
			s.t.Error(err)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		s.got, s.raw = append(s.got, m), append(s.raw, der)
		w.Header().Set("Content-Type", typeMessage)
		_, _ = w.Write(s.reply(m))
	}
}

func (s *server) reply(m *message) []byte {
	if s.answer != nil {
		return s.answer(m)
	}
	by := partyOf(s.t, s.ra)
	inside, err := m.open(by)
	if err != nil {
		s.t.Error(err)
	}
	if m.kind != certPoll {
		s.csr = testpki.Must(x509.ParseCertificateRequest(inside))
	}
	answer := &message{kind: certRep, transaction: m.transaction, sender: newNonce(), recipient: m.sender, status: s.status, fail: s.fail}
	if s.status == success {
		id := testpki.Must(s.ca.Issue(testpki.Leaf{Addresses: []string{alice}, Key: "rsa2048", PublicKeyInfo: s.csr.RawSubjectPublicKeyInfo}))
		answer.content = testpki.Must(seal(testpki.Must(file.EncodeBundle([]*x509.Certificate{id.Certificate})), m.signer))
	}
	if s.change != nil {
		s.change(answer)
	}
	return testpki.Must(answer.encode(by))
}

func order(t *testing.T, current *certs.Identity) *enrol.Order {
	t.Helper()
	return &enrol.Order{Current: current, Order: store.Order{ID: "0123456789abcdef", Address: testpki.Must(address.Parse(alice)),
		Purpose: store.ForBoth, Key: testpki.Must(ca.GenerateKey("rsa2048"))}}
}

// issue makes an identity of the CA.
func (s *server) issue(l testpki.Leaf) *certs.Identity {
	s.t.Helper()
	return (*certs.Identity)(testpki.Must(s.ca.Issue(l)))
}

// TestClient: a request, in a form that OpenSSL reads, with the challenge password; an answer
// that takes its time; and a renewal that the certificate itself signs.
func TestClient(t *testing.T) {
	s, c := newServer(t)
	s.status = pending
	o := order(t, nil)
	a, err := c.Begin(t.Context(), o)
	if err != nil || a.After != wait || len(a.Certificates) > 0 || s.got[0].kind != pkcsReq || s.method != http.MethodPost {
		t.Fatalf("%+v, %v", a, err)
	}
	s.readByOpenSSL()
	// A process that died before it knew sends the request again, with the same transaction.
	if _, err := c.Continue(t.Context(), o); err != nil || s.got[1].kind != pkcsReq || s.got[1].transaction != s.got[0].transaction {
		t.Errorf("%v", err)
	}
	o.Reference, s.status = a.Reference, success
	a, err = c.Continue(t.Context(), o)
	if err != nil || s.got[2].kind != certPoll || s.got[2].transaction != s.got[0].transaction || len(a.Certificates) != 3 {
		t.Fatalf("%d certificates, %v", len(a.Certificates), err)
	}
	id := &certs.Identity{Certificate: a.Certificates[0], Key: o.Key}
	if err := id.Check(); err != nil {
		t.Fatal(err)
	}
	for name, one := range map[string]struct {
		current *certs.Identity
		caps    string
		kind    kind
	}{
		"renewed":            {id, s.caps, renewalReq},
		"cannot renew":       {id, "SCEPStandard", pkcsReq},
		"another CA's":       {(*certs.Identity)(testpki.Must(testpki.Must(testpki.NewCA(testpki.Options{})).Issue(testpki.Leaf{Addresses: []string{alice}, Key: "rsa2048"}))), s.caps, pkcsReq},
		"another address's":  {s.issue(testpki.Leaf{Addresses: []string{alice, "bob@example.com"}, Key: "rsa2048"}), s.caps, pkcsReq},
		"of another purpose": {s.issue(testpki.Leaf{Addresses: []string{alice}, Key: "rsa2048", KeyUsage: x509.KeyUsageDigitalSignature}), s.caps, pkcsReq},
		"of EC":              {s.issue(testpki.Leaf{Addresses: []string{alice}}), s.caps, pkcsReq},
	} {
		s.caps, s.got = one.caps, nil
		o := order(t, one.current)
		a, err := c.Begin(t.Context(), o)
		if err != nil || s.got[0].kind != one.kind || s.got[0].signer.Equal(one.current.Certificate) != (one.kind == renewalReq) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := (&certs.Identity{Certificate: a.Certificates[0], Key: o.Key}).Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestClientByGET: a server that takes no POST.
func TestClientByGET(t *testing.T) {
	s, c := newServer(t)
	s.caps = "AES\nSHA-256"
	if _, err := c.Begin(t.Context(), order(t, nil)); err != nil || s.method != http.MethodGet {
		t.Errorf("%s, %v", s.method, err)
	}
}

// readByOpenSSL has openssl verify the last message, decrypt it, and read the request in it.
func (s *server) readByOpenSSL() {
	s.t.Helper()
	dir := s.t.TempDir()
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	write("message.der", s.raw[len(s.raw)-1])
	write("ra.pem", testpki.EncodeCertificates(s.ra.Certificate))
	write("ra.key", testpki.Must((&testpki.Identity{Certificate: s.ra.Certificate, Key: s.ra.Key}).KeyPEM()))
	cmd := exec.CommandContext(s.t.Context(), "sh", "-c", `set -eu
openssl cms -verify -noverify -binary -inform DER -in message.der -out envelope.der -signer signer.pem 2>&1
openssl cms -cmsout -print -inform DER -in message.der > message.txt
openssl cms -decrypt -binary -inform DER -in envelope.der -recip ra.pem -inkey ra.key -out request.der
openssl cms -cmsout -print -inform DER -in envelope.der
openssl req -inform DER -in request.der -noout -verify -text 2>&1
grep -A2 -E 'transId|messageType|2.16.840.1.113733.1.9' message.txt
`)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Errorf("%v: %s", err, out)
	}
	for _, want := range []string{"CMS Verification successful", "aes-128-cbc", "verify OK", "challengePassword", "the secret", "email:" + alice, s.got[0].transaction} {
		if !strings.Contains(string(out), want) {
			s.t.Errorf("openssl does not show %q: %s", want, out)
		}
	}
}

// TestClientRefuses what would give the key's certificate to another, or the challenge to one
// who is not the CA.
func TestClientRefuses(t *testing.T) {
	other := testpki.Must(testpki.NewCA(testpki.Options{}))
	mallory := (*certs.Identity)(testpki.Must(other.Issue(testpki.Leaf{Addresses: []string{"ra@example.com"}, Key: "rsa2048"})))
	for name, one := range map[string]struct {
		change  func(s *server, c *Client)
		says    string
		refused bool
		sent    int
	}{
		"refused":      {func(s *server, _ *Client) { s.status, s.fail = failure, "2" }, "the request is not permitted", true, 1},
		"bad time":     {func(s *server, _ *Client) { s.status, s.fail = failure, "3" }, "signing time", false, 1},
		"no status":    {func(s *server, _ *Client) { s.status = "7" }, `pkiStatus "7"`, false, 1},
		"another CA":   {func(_ *server, c *Client) { c.Fingerprint = strings.Repeat("0", 64) }, "another CA", false, 0},
		"a foreign RA": {func(s *server, _ *Client) { s.ra = mallory }, "another RA", false, 0},
		"a holder as RA": {func(s *server, _ *Client) {
			s.ra = s.issue(testpki.Leaf{Addresses: []string{"mallory@example.com"}, Key: "rsa2048"})
		},
			"another RA", false, 0},
		"a holder where no RA is pinned": {func(_ *server, c *Client) { c.RAFingerprint = "" }, "set ra_fingerprint", false, 0},
		"no AES":                         {func(s *server, _ *Client) { s.caps = "DES3\nSHA-256\nPOSTPKIOperation" }, "can AES and SHA-256", true, 0},
		"SHA-1 alone":                    {func(s *server, _ *Client) { s.caps = "AES\nSHA-1" }, "can AES and SHA-256", true, 0},
		"another transaction": {func(s *server, _ *Client) {
			s.change = func(m *message) { m.transaction = "1" }
		}, "another request", false, 1},
		"another nonce": {func(s *server, _ *Client) {
			s.change = func(m *message) { m.recipient = newNonce() }
		}, "another nonce", false, 1},
		"another signer": {func(s *server, _ *Client) {
			s.answer = func(m *message) []byte {
				return testpki.Must((&message{kind: certRep, transaction: m.transaction, sender: newNonce(), recipient: m.sender, status: pending}).encode(partyOf(t, mallory)))
			}
		}, "by another than the CA", false, 1},
		"its own request": {func(s *server, _ *Client) {
			s.answer = func(*message) []byte { return s.raw[len(s.raw)-1] }
		}, "by another than the CA", false, 1},
		"signed with SHA-1": {func(s *server, _ *Client) { s.answer = s.weak }, "sha-1", true, 1},
		"encrypted with Triple-DES": {func(s *server, _ *Client) {
			s.change = func(m *message) { m.content = s.tripleDES(s.got[0].signer) }
		}, "cannot be decrypted", true, 1},
		"rubbish":  {func(s *server, _ *Client) { s.answer = func(*message) []byte { return []byte("x") } }, "SCEP server", false, 1},
		"too much": {func(s *server, _ *Client) { s.answer = func(*message) []byte { return make([]byte, maxBody+1) } }, "more than", false, 1},
	} {
		s, c := newServer(t)
		one.change(s, c)
		o := order(t, nil)
		a, err := c.Begin(t.Context(), o)
		refusal := new(enrol.Refusal)
		if one.sent >= 0 && (err == nil || errors.As(err, &refusal) != one.refused || !strings.Contains(err.Error(), one.says) || len(s.got) != one.sent) {
			t.Errorf("%s: %d sent, %v", name, len(s.got), err)
		}
		if one.sent < 0 && (err == nil || len(a.Certificates) > 0) {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := NewClient(ClientConfig{URL: "http://ca.example.com/scep"}); err == nil {
		t.Error("http without a fingerprint")
	}
	s, c := newServer(t)
	o := order(t, nil)
	o.Key = testpki.Must(ca.GenerateKey("p256"))
	refusal := new(enrol.Refusal)
	if _, err := c.Begin(t.Context(), o); !errors.As(err, &refusal) || len(s.got) > 0 {
		t.Errorf("a key of EC: %v", err)
	}
}

// weak signs an answer as servers of before did.
func (s *server) weak(*message) []byte {
	return s.openssl("cms -sign -md sha1 -nodetach -binary -outform DER -signer ra.pem -inkey ra.key -in content", s.ra.Certificate)
}

func (s *server) tripleDES(to *x509.Certificate) []byte {
	return s.openssl("cms -encrypt -des3 -binary -outform DER -in content to.pem", to)
}

func (s *server) openssl(command string, to *x509.Certificate) []byte {
	s.t.Helper()
	dir := s.t.TempDir()
	for name, data := range map[string][]byte{"ra.pem": testpki.EncodeCertificates(s.ra.Certificate),
		"ra.key": testpki.Must((&testpki.Identity{Certificate: s.ra.Certificate, Key: s.ra.Key}).KeyPEM()), "to.pem": testpki.EncodeCertificates(to), "content": []byte("content")} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(s.t.Context(), "openssl", strings.Fields(command)...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		s.t.Errorf("openssl %s: %v", command, err)
	}
	return out
}
