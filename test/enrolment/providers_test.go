package enrolment

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/enrol/est"
	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/internal/testing/loopback"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/test/rig"
)

// Users, by the provider of their certificates.
const (
	ownCA    = "own@corp.example"
	estUser  = "est@corp.example"
	estTLS   = "tls@corp.example"
	estKeys  = "keys@corp.example"
	scepUser = "scep@corp.example"
	waiting  = "waiting@corp.example"
	program1 = "program@corp.example"
	dropped  = "dropped@corp.example"
)

// TestProviders: from each provider a user gets a certificate, which signs; the one that replaces it signs
// the next mail; and what was encrypted to either is read.
func TestProviders(t *testing.T) {
	p := openProvider(t, "")
	foreign := startForeign(t)
	pending := startPending(t)
	script := startScript(t)
	admin := loopback.FreePort(t)
	own := t.TempDir()
	drop := filepath.Join(own, "drop")
	secrets := map[string]string{estUser: "", estKeys: "", scepUser: ""}
	for addr := range secrets {
		secrets[addr] = filepath.Join(own, addr)
		keep(t, secrets[addr], p.invited(t, addr))
	}
	keep(t, filepath.Join(own, "drop.password"), "the password")
	if err := os.Mkdir(drop, 0o700); err != nil {
		t.Fatal(err)
	}
	h := open(t, fmt.Sprintf(`
[admin]
address = "127.0.0.1:%d"

[ca]
url = "http://127.0.0.1:%[1]d/ca/"
organization = "Corp"
country = "DE"
`, admin)+
		table("corp", "est", estUser, fmt.Sprintf("url = %q\nca = %q\nuser = %q\npassword_file = %q", p.base+"/.well-known/est", p.tls.trusted, estUser, secrets[estUser]))+
		table("keys", "est", estKeys, fmt.Sprintf("url = %q\nca = %q\nuser = %q\npassword_file = %q\nserver_key = true", p.base+"/.well-known/est", p.tls.trusted, estKeys, secrets[estKeys]))+
		table("foreign", "est", estTLS, foreign.lines)+
		table("scep", "scep", scepUser, fmt.Sprintf("url = %q\nca = %q\nca_fingerprint = %q\npassword_file = %q\nkey_type = \"rsa2048\"", p.base+"/scep", p.tls.trusted, sum(p.root), secrets[scepUser]))+
		table("pending", "scep", waiting, pending.lines)+
		table("script", "command", program1, fmt.Sprintf("command = [%q]", script.path))+
		fmt.Sprintf("\n[[enrolment]]\nname = \"drop\"\nfrom = \"folder\"\nfolder = %q\npassword_file = %q\n", drop, drop+".password")+
		table("own", "ca", ownCA, "")+issuing)
	h.Run(t, "ca", "init")
	drops := droppedInto(t, drop)
	drops("first.p12", time.Now().Add(-time.Hour))
	h.restart(t)

	users := []string{ownCA, estUser, estTLS, estKeys, scepUser, waiting, program1, dropped}
	certificates := map[string][]*x509.Certificate{}
	h.decidedLater(t)
	h.WaitLog(t, "file="+drop+"/first.p12 identities=1", 1)
	for _, addr := range users {
		first := h.signer(t, addr)
		h.opens(t, addr, first)
		certificates[addr] = []*x509.Certificate{first}
	}
	// Nothing is under way while one of the two is killed: an attempt that failed would be made again
	// a minute later, and one that was cut off would be made twice.
	anotherSecond(t)
	p.Run(t, "enrol", "request", estKeys)
	p.restart(t)
	p.WaitLog(t, `msg="identity issued" address=`+estKeys, 2)
	keep(t, secrets[estKeys], p.invited(t, estKeys))
	drops("second.p12", time.Now().Add(-time.Minute))
	for _, addr := range users {
		if addr != dropped {
			h.Run(t, "enrol", "request", addr)
		}
	}
	for _, addr := range users {
		second := h.next(t, addr, certificates[addr][0])
		h.opens(t, addr, second)
		h.opens(t, addr, certificates[addr][0])
		if first := certificates[addr][0]; !bytes.Equal(second.RawIssuer, first.RawIssuer) {
			t.Errorf("%s: issued by %s and by %s", addr, first.Issuer, second.Issuer)
		}
	}

	// Secrets are for one key: renewals used the certificates.
	p.WaitLog(t, `msg="certificate issued" subject="CN=`+estUser, 2)
	p.WaitLog(t, `msg="certificate issued" subject="CN=`+scepUser, 2)
	p.WaitLog(t, `msg="private key sent to a client" address=`+estKeys, 2)
	foreign.checked(t)
	if got := pending.kinds(); got != "19 20 17" {
		t.Errorf("the SCEP messages were of types %s", got)
	}
	h.Run(t, "enrol", "revoke", program1)
	if got := script.actions(t); got != "begin begin revoke revoke" {
		t.Errorf("the program was run for %s", got)
	}
}

// decidedLater: Bouncy Castle's CA has the order wait, and decides when it is asked again.
func (h *house) decidedLater(t *testing.T) {
	t.Helper()
	if reply, _ := h.sends(t, waiting); reply.Code != 451 {
		t.Errorf("while the CA has not decided: %v", reply)
	}
	shown := h.Run(t, "enrol", "show", waiting)
	for _, want := range []string{"state        sent", "reference    pending", "next attempt"} {
		if !strings.Contains(shown, want) {
			t.Errorf("no %q in\n%s", want, shown)
		}
	}
	h.Run(t, "enrol", "retry", waiting)
	h.WaitLog(t, `msg="identity issued" address=`+waiting, 1)
}

// droppedInto returns a function that puts an identity into a folder, as another system does.
func droppedInto(t *testing.T, folder string) func(name string, from time.Time) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	return func(name string, from time.Time) {
		t.Helper()
		id := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{dropped}, Key: "rsa2048", NotBefore: from}))
		keep(t, folder+".new", string(testpki.Must(id.PKCS12("the password"))))
		if err := os.Rename(folder+".new", filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// next sends mail until it is signed with another certificate.
func (h *house) next(t *testing.T, addr string, before *x509.Certificate) *x509.Certificate {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
	defer cancel()
	for {
		if cert := h.signer(t, addr); !cert.Equal(before) {
			return cert
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("the certificate of %s was not replaced:\n%s", addr, h.Run(t, "enrol", "show", addr))
		}
	}
}

// anotherSecond waits for the next one: of two certificates that were issued in the same second, the
// fingerprint decides which is the newer.
func anotherSecond(t *testing.T) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for issued := time.Now().Unix(); time.Now().Unix() == issued; {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			return
		}
	}
}

// table is an [[enrolment]] for one user.
func table(name, from, addr, lines string) string {
	return fmt.Sprintf("\n[[enrolment]]\nname = %q\nfrom = %q\naddresses = [%q]\n%s\n", name, from, addr, lines)
}

func keep(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// foreignCA is an EST server that knows the gateway by a TLS certificate, and users by none.
type foreignCA struct {
	*testpki.CA
	clients *testpki.CA // of the gateways
	lines   string

	mu     sync.Mutex
	issued []est.Request
	paths  []string
}

func startForeign(t *testing.T) *foreignCA {
	t.Helper()
	f := &foreignCA{CA: testpki.Must(testpki.NewCA(testpki.Options{})), clients: testpki.Must(testpki.NewCA(testpki.Options{}))}
	protocol := (&est.Server{Log: slog.New(slog.DiscardHandler), CA: func() (est.CA, func(), error) { return f, func() {}, nil }}).Handler()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.paths = append(f.paths, filepath.Base(r.URL.Path))
		f.mu.Unlock()
		protocol.ServeHTTP(w, r)
	}))
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	s.StartTLS()
	t.Cleanup(s.Close)
	id := testpki.Must(f.clients.Issue(testpki.Leaf{Name: "the gateway", ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}))
	dir := t.TempDir()
	keep(t, dir+"/tls.pem", string(testpki.EncodeCertificates(s.Certificate())))
	keep(t, dir+"/client.pem", string(testpki.EncodeCertificates(id.Certificate)))
	keep(t, dir+"/client.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: testpki.Must(x509.MarshalPKCS8PrivateKey(id.Key))})))
	f.lines = fmt.Sprintf("url = %q\nca = %q\nclient_certificate = %q\nclient_key = %q", s.URL+"/.well-known/est", dir+"/tls.pem", dir+"/client.pem", dir+"/client.key")
	return f
}

// CACerts implements est.CA.
func (f *foreignCA) CACerts(context.Context) ([]*x509.Certificate, error) {
	return []*x509.Certificate{f.Certificate}, nil
}

// Enroll implements est.CA: the gateway may ask for any address.
func (f *foreignCA) Enroll(_ context.Context, r est.Request) (*x509.Certificate, error) {
	if r.Client == nil || r.Client.CheckSignatureFrom(f.clients.Certificate) != nil {
		return nil, est.ErrUnauthorized
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.issued = append(f.issued, r)
	id, err := f.Issue(testpki.Leaf{Addresses: r.CSR.EmailAddresses, PublicKeyInfo: r.CSR.RawSubjectPublicKeyInfo,
		NotBefore: f.Certificate.NotBefore.Add(time.Duration(len(f.issued)) * time.Second)})
	if err != nil {
		return nil, err
	}
	return id.Certificate, nil
}

// ServerKey implements est.CA.
func (f *foreignCA) ServerKey(context.Context, est.Request) (*certs.Identity, error) {
	return nil, errors.New("not here")
}

// checked wants all operations to have been used, each for what it is for.
func (f *foreignCA) checked(t *testing.T) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.issued) != 2 || f.issued[0].Renew || !f.issued[1].Renew {
		t.Errorf("%d were issued", len(f.issued))
	}
	if got := strings.Join(f.paths, " "); got != "cacerts csrattrs simpleenroll cacerts csrattrs simplereenroll" {
		t.Errorf("asked for %s", got)
	}
}

// script is a program that is a CA, with openssl.
type script struct{ dir, path string }

func startScript(t *testing.T) *script {
	t.Helper()
	ca := testpki.Must(testpki.NewCA(testpki.Options{Key: "p256"}))
	s := &script{dir: t.TempDir()}
	s.path = s.dir + "/order"
	keep(t, s.dir+"/ca.pem", string(testpki.EncodeCertificates(ca.Certificate)))
	keep(t, s.dir+"/ca.key", string(testpki.Must((&testpki.Identity{Certificate: ca.Certificate, Key: ca.Key}).KeyPEM())))
	keep(t, s.path, fmt.Sprintf(`#!/usr/bin/python3
import json, subprocess, sys
job = json.load(sys.stdin)
with open(%[1]q + "/actions", "a") as f:
    f.write(job["action"] + " ")
if job["action"] != "revoke":
    subprocess.run(["openssl", "x509", "-req", "-CA", %[1]q + "/ca.pem", "-CAkey", %[1]q + "/ca.key", "-days", "30", "-copy_extensions", "copyall"],
        input=job["csr"].encode(), check=True, stderr=subprocess.DEVNULL)
`, s.dir))
	if err := os.Chmod(s.path, 0o700); err != nil {
		t.Fatal(err)
	}
	return s
}

// actions is what the program was run for.
func (s *script) actions(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(string(testpki.Must(os.ReadFile(s.dir + "/actions"))))
}

// encoded is a bundle without signature.
func encoded(list ...*x509.Certificate) []byte { return testpki.Must(file.EncodeBundle(list)) }
