package service

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/certs/enrol"
	"github.com/smimerelay/smimerelay/certs/enrol/est"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
)

// estWorld is a service whose CA serves EST.
type estWorld struct {
	*world
	store *store.Store
	base  string
	tls   string // the file that a client trusts
}

func startEST(t *testing.T, lines ...string) *estWorld {
	t.Helper()
	chain, key, trusted := tlsFiles(t)
	w := startWorld(t, strings.Replace(withAuthority(), "[ca]", "[est]\naddress = \"127.0.0.1:0\"\ntls_certificate = \""+chain+"\"\ntls_key = \""+key+"\"\n"+strings.Join(lines, "\n")+"\n[ca]", 1))
	e := &estWorld{world: w, store: w.open(w.storeFile()), tls: trusted}
	_, port, _ := strings.Cut(w.address("[est]"), ":")
	e.base = "https://localhost:" + port + "/.well-known/est"
	return e
}

// tlsFiles writes a certificate for localhost, its key, and the authority that clients trust.
func tlsFiles(t *testing.T) (chain, key, trusted string) {
	t.Helper()
	server := testpki.Must(testpki.NewCA(testpki.Options{}))
	id := testpki.Must(server.Issue(testpki.Leaf{Name: "localhost", ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, Edit: func(c *x509.Certificate) {
		c.DNSNames = []string{"localhost"}
	}}))
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	der := testpki.Must(x509.MarshalPKCS8PrivateKey(id.Key))
	return write("chain.pem", testpki.EncodeCertificates(id.Certificate)),
		write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		write("tls.pem", testpki.EncodeCertificates(server.Certificate))
}

// parsed is the configuration, as a command reads it.
func (e *estWorld) parsed() *config.Config {
	e.t.Helper()
	c, problems := config.Load(e.config())
	if len(problems) > 0 {
		e.t.Fatal(problems)
	}
	return c
}

// ca makes the authorities.
func (e *estWorld) ca() *ca.Pair {
	e.t.Helper()
	pair := inaugurate(e.t, e.parsed(), e.store, e.now)
	e.log.waitCount(e.t, "msg=published file="+e.dir+"/issuing.crl", 1)
	return pair
}

// order is one of the client's, with a new key.
func order(t *testing.T, text string, current *certs.Identity) *enrol.Order {
	t.Helper()
	return &enrol.Order{Current: current, Order: store.Order{
		ID: "0123456789abcdef", Address: testpki.Must(address.Parse(text)), Purpose: store.ForBoth, Key: testpki.Must(ca.GenerateKey("p256")),
	}}
}

func (e *estWorld) client(user, secret string) *est.Client {
	e.t.Helper()
	c := est.ClientConfig{URL: e.base, CA: e.tls, User: user}
	if user != "" {
		c.PasswordFile = filepath.Join(e.t.TempDir(), "secret")
		if err := os.WriteFile(c.PasswordFile, []byte(secret), 0o600); err != nil {
			e.t.Fatal(err)
		}
	}
	return testpki.Must(est.NewClient(c))
}

// TestEST: a client with a secret gets one certificate for one key, and renews it with the
// certificate alone, until it is revoked.
func TestEST(t *testing.T) {
	e := startEST(t)
	alice := "alice@example.org"
	if _, err := e.client(alice, "x").Begin(t.Context(), order(t, alice, nil)); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("without a CA: %v", err)
	}
	pair := e.ca()
	a := testpki.Must(address.Parse(alice))
	if err := e.store.PutInvitation(t.Context(), "the secret", a, e.now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*est.Client{"no secret": e.client("", ""), "a wrong secret": e.client(alice, "other"), "another address": e.client("bob@example.org", "the secret")} {
		if _, err := c.Begin(t.Context(), order(t, alice, nil)); err == nil {
			t.Errorf("%s: issued", name)
		}
	}
	c := e.client(alice, "the secret")
	if _, err := c.Begin(t.Context(), order(t, "bob@example.org", nil)); err == nil || !strings.Contains(err.Error(), "another address") {
		t.Errorf("a request for another address: %v", err)
	}
	first := order(t, alice, nil)
	got := testpki.Must(c.Begin(t.Context(), first))
	id := &certs.Identity{Certificate: got.Certificates[0], Key: first.Key}
	if err := id.Check(); err != nil || certs.Addresses(id.Certificate)[0].String() != alice || len(got.Certificates) != 3 {
		t.Fatalf("%v, %d certificates", err, len(got.Certificates))
	}
	if again := testpki.Must(c.Continue(t.Context(), first)); !again.Certificates[0].Equal(id.Certificate) {
		t.Error("the same request got another certificate")
	}
	if _, err := c.Begin(t.Context(), order(t, alice, nil)); err == nil {
		t.Error("the secret was used for two keys")
	}
	// The certificate is at home like any other, without its key.
	if found := issuedFor(t, e.store, alice); len(found) != 1 || found[0].HasKey {
		t.Errorf("%d certificates", len(found))
	}
	e.advance(time.Minute)
	id.Chain = []*x509.Certificate{pair.Issuing.Certificate}
	second := order(t, alice, id)
	renewed, err := e.client("", "").Begin(t.Context(), second)
	if err != nil || renewed.Certificates[0].Equal(id.Certificate) {
		t.Fatalf("not renewed: %v", err)
	}
	authorities := testpki.Must(OpenAuthorities(t.Context(), e.parsed(), e.store, e.now))
	if _, err := authorities.Issuing.Revoke(t.Context(), id.Certificate, ca.Superseded); err != nil {
		t.Fatal(err)
	}
	if _, err := e.client("", "").Begin(t.Context(), order(t, alice, id)); err == nil {
		t.Error("renewed by a certificate that was revoked")
	}
	// A certificate of another CA renews nothing.
	other := testpki.Must(testpki.NewCA(testpki.Options{}))
	foreign := (*certs.Identity)(testpki.Must(other.Issue(testpki.Leaf{Addresses: []string{alice}})))
	if status, _ := e.post("simplereenroll", foreign, testpki.Must(order(t, alice, nil).CSR())); status != http.StatusUnauthorized {
		t.Errorf("renewed by a foreign certificate: %d", status)
	}
	e.stop()
}

func (e *estWorld) post(operation string, client *certs.Identity, csr []byte) (int, []byte) {
	e.t.Helper()
	return e.postAs(operation, "", "", client, csr)
}

func (e *estWorld) postAs(operation, user, secret string, client *certs.Identity, csr []byte) (int, []byte) {
	e.t.Helper()
	settings := &tls.Config{InsecureSkipVerify: true}
	if client != nil {
		settings.Certificates = []tls.Certificate{{Certificate: [][]byte{client.Certificate.Raw}, PrivateKey: client.Key}}
	}
	transport := &http.Transport{TLSClientConfig: settings}
	defer transport.CloseIdleConnections()
	r := testpki.Must(http.NewRequestWithContext(e.t.Context(), http.MethodPost, e.base+"/"+operation, strings.NewReader(base64.StdEncoding.EncodeToString(csr))))
	r.Header.Set("Content-Type", "application/pkcs10")
	if user != "" {
		r.SetBasicAuth(user, secret)
	}
	answer := testpki.Must((&http.Client{Transport: transport}).Do(r))
	defer answer.Body.Close()
	return answer.StatusCode, testpki.Must(io.ReadAll(answer.Body))
}

// TestESTWithOpenSSL: curl and openssl are a client too.
func TestESTWithOpenSSL(t *testing.T) {
	e := startEST(t)
	e.ca()
	a := testpki.Must(address.Parse("carol@example.org"))
	if err := e.store.PutInvitation(t.Context(), "the secret", a, e.now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	script := `set -eu
curl -sS --fail --cacert ` + e.tls + ` ` + e.base + `/cacerts | base64 -d | openssl pkcs7 -inform DER -print_certs -out ca.pem
curl -sS --fail --cacert ` + e.tls + ` ` + e.base + `/csrattrs | base64 -d | openssl asn1parse -inform DER > attrs
openssl req -new -newkey rsa:2048 -nodes -keyout key.pem -subj /CN=carol@example.org -outform DER 2>/dev/null | base64 > request
curl -sS --fail --cacert ` + e.tls + ` --user "carol@example.org:the secret" -H "Content-Type: application/pkcs10" --data-binary @request ` + e.base + `/simpleenroll | base64 -d | openssl pkcs7 -inform DER -print_certs -out cert.pem
openssl verify -x509_strict -purpose smimesign -CAfile ca.pem cert.pem
test "$(openssl x509 -in cert.pem -noout -pubkey)" = "$(openssl pkey -in key.pem -pubout)"
openssl x509 -in cert.pem -noout -ext subjectAltName
`
	cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "cert.pem: OK") || !strings.Contains(string(out), "email:carol@example.org") {
		t.Errorf("%v: %s", err, out)
	}
	attrs := string(testpki.Must(os.ReadFile(filepath.Join(dir, "attrs"))))
	if !strings.Contains(attrs, "rsaEncryption") || !strings.Contains(attrs, "id-ecPublicKey") {
		t.Error(attrs)
	}
	e.stop()
}

// TestSharedKey: two devices of a person, and another gateway, get the decryption key that the
// gateway uses, with its certificate; and only those who were invited.
func TestSharedKey(t *testing.T) {
	e := startEST(t, "share_key = true")
	e.ca()
	alice := "alice@example.org"
	a := testpki.Must(address.Parse(alice))
	for _, secret := range []string{"phone", "notebook", "gateway"} {
		if err := e.store.PutInvitation(t.Context(), secret, a, e.now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	script := `set -eu
openssl req -new -newkey rsa:2048 -nodes -keyout transport.pem -subj /CN=` + alice + ` -outform DER 2>/dev/null | base64 > request
for secret in phone notebook; do
curl -sS --fail --cacert ` + e.tls + ` --user "` + alice + `:$secret" -H "Content-Type: application/pkcs10" --data-binary @request ` + e.base + `/serverkeygen > answer
part() { tr -d '\r' < answer | awk -v want="Content-Type: $1" '/^--/ {on = 0} $0 ~ want {on = 1} on && !/^Content/ && NF'; }
part application/pkcs8 | base64 -d | openssl pkcs8 -inform DER -nocrypt -out $secret.key
part application/pkcs7-mime | base64 -d | openssl pkcs7 -inform DER -print_certs -out $secret.pem
test "$(openssl x509 -in $secret.pem -noout -pubkey)" = "$(openssl pkey -in $secret.key -pubout)"
done
cmp phone.key notebook.key
cmp phone.pem notebook.pem
`
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	own := signing(t, e.store, alice)
	block, _ := pem.Decode(testpki.Must(os.ReadFile(filepath.Join(dir, "phone.pem"))))
	if own == nil || block == nil || !bytes.Equal(block.Bytes, own.Certificate.Raw) {
		t.Fatal("the devices have another certificate than the gateway")
	}
	c := e.client(alice, "gateway")
	c.ServerKey = true
	o := order(t, alice, nil)
	got := testpki.Must(c.Begin(t.Context(), o))
	if err := (&certs.Identity{Certificate: own.Certificate, Key: got.Key}).Check(); err != nil {
		t.Errorf("another key: %v", err)
	}
	for name, c := range map[string]*est.Client{"used": e.client(alice, "gateway"), "wrong": e.client(alice, "other"), "another address": e.client("bob@example.org", "phone")} {
		c.ServerKey = true
		if got, err := c.Begin(t.Context(), order(t, alice, nil)); err == nil || got.Key != nil {
			t.Errorf("%s: sent", name)
		}
	}
	if n := len(issuedFor(t, e.store, alice)); n != 1 {
		t.Errorf("%d certificates", n)
	}
	e.stop()
}

// TestNoSharedKey: without est.share_key no key leaves the gateway.
func TestNoSharedKey(t *testing.T) {
	e := startEST(t)
	e.ca()
	a := testpki.Must(address.Parse("alice@example.org"))
	if err := e.store.PutInvitation(t.Context(), "the secret", a, e.now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	c := e.client("alice@example.org", "the secret")
	c.ServerKey = true
	if got, err := c.Begin(t.Context(), order(t, "alice@example.org", nil)); err == nil || got.Key != nil || !strings.Contains(err.Error(), "501") {
		t.Errorf("%v", err)
	}
	e.stop()
}

// TestESTRefuses: what is no request, and keys that are too weak.
func TestESTRefuses(t *testing.T) {
	e := startEST(t)
	e.ca()
	good := testpki.Must(order(t, "alice@example.org", nil).CSR())
	broken := bytes.Clone(good)
	broken[len(broken)-1] ^= 1
	for name, csr := range map[string][]byte{"rubbish": []byte("x"), "a signature that is wrong": broken} {
		if status, _ := e.post("simpleenroll", nil, csr); status != http.StatusBadRequest {
			t.Errorf("%s: %d", name, status)
		}
	}
	if status, body := e.post("simpleenroll", nil, bytes.Repeat([]byte{'A'}, 100_000)); status != http.StatusRequestEntityTooLarge {
		t.Errorf("too long: %d %s", status, body)
	}
	e.stop()
}

// TestESTAttacks: what a client has for one address gets it nothing for another, and what ends a
// client's right ends it by each operation; a request that is refused uses no secret up.
func TestESTAttacks(t *testing.T) {
	e := startEST(t)
	e.ca()
	alice, bob := "alice@example.org", "bob@example.org"
	for secret, who := range map[string]string{"of alice": alice, "of bob": bob, "late": alice} {
		if err := e.store.PutInvitation(t.Context(), secret, testpki.Must(address.Parse(who)), e.now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	bobs := order(t, bob, nil)
	id := &certs.Identity{Certificate: testpki.Must(e.client(bob, "of bob").Begin(t.Context(), bobs)).Certificates[0], Key: bobs.Key}
	both := testpki.Must(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{EmailAddresses: []string{alice, bob}}, order(t, alice, nil).Key))
	of := func(who string, current *certs.Identity) []byte { return testpki.Must(order(t, who, current).CSR()) }
	deep := append(bytes.Repeat([]byte{0x30, 0x80}, 20_000), make([]byte, 40)...)
	for name, one := range map[string]struct {
		operation, user, secret string
		client                  *certs.Identity
		csr                     []byte
		want                    int
	}{
		"re-enrol with another's certificate":      {"simplereenroll", "", "", id, of(alice, nil), http.StatusBadRequest},
		"and another's address as the user":        {"simplereenroll", alice, "of bob", id, of(alice, nil), http.StatusBadRequest},
		"re-enrol with nothing":                    {"simplereenroll", "", "", nil, of(bob, nil), http.StatusUnauthorized},
		"a certificate in place of a secret":       {"simpleenroll", "", "", id, of(bob, nil), http.StatusUnauthorized},
		"an invitation that was used":              {"simpleenroll", bob, "of bob", nil, of(bob, nil), http.StatusUnauthorized},
		"an invitation that was used, by re-enrol": {"simplereenroll", bob, "of bob", nil, of(bob, nil), http.StatusUnauthorized},
		"an invitation of another":                 {"simpleenroll", bob, "of alice", nil, of(bob, nil), http.StatusUnauthorized},
		"two addresses":                            {"simpleenroll", alice, "of alice", nil, both, http.StatusBadRequest},
		"another address":                          {"simpleenroll", alice, "of alice", nil, of(bob, nil), http.StatusBadRequest},
		"a key of the gateway":                     {"serverkeygen", alice, "of alice", nil, of(alice, nil), http.StatusNotImplemented},
		"deep ASN.1":                               {"simpleenroll", alice, "of alice", nil, deep, http.StatusBadRequest},
	} {
		if status, body := e.postAs(one.operation, one.user, one.secret, one.client, one.csr); status != one.want {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	if n := len(issuedFor(t, e.store, alice)) + len(issuedFor(t, e.store, bob)); n != 1 {
		t.Errorf("%d certificates were issued", n)
	}
	if status, body := e.postAs("simpleenroll", alice, "of alice", nil, of(alice, nil)); status != http.StatusOK {
		t.Errorf("the secret of refused requests: %d %s", status, body)
	}
	e.advance(time.Hour)
	if status, _ := e.postAs("simpleenroll", alice, "late", nil, of(alice, nil)); status != http.StatusUnauthorized {
		t.Errorf("an invitation that has expired: %d", status)
	}
	e.stop()
}
