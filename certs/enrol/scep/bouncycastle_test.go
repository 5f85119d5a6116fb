package scep

import (
	"crypto"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// bouncyJars are those of Debian's libbcmail-java.
const bouncyJars = "/usr/share/java/bcprov.jar:/usr/share/java/bcpkix.jar:/usr/share/java/bcutil.jar:/usr/share/java/bcmail.jar"

// bouncyCastle runs testdata/Scep.java.
func bouncyCastle(t *testing.T, args ...string) string {
	t.Helper()
	source := testpki.Must(filepath.Abs("testdata/Scep.java"))
	cmd := exec.CommandContext(t.Context(), "java", append([]string{"-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", bouncyJars, source}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("Bouncy Castle: %v: %s", err, out)
	}
	return string(out)
}

func keep(t *testing.T, dir, name string, der []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, der, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func pkcs8(key crypto.PrivateKey) []byte { return testpki.Must(x509.MarshalPKCS8PrivateKey(key)) }

// TestClientWithBouncyCastle: a CA that Bouncy Castle makes reads the request, and its answer
// is read.
func TestClientWithBouncyCastle(t *testing.T) {
	s, c := newServer(t)
	dir := t.TempDir()
	caKey, caCert := keep(t, dir, "ca.key", pkcs8(s.ca.Key)), keep(t, dir, "ca.der", s.ca.Certificate.Raw)
	raKey, raCert := keep(t, dir, "ra.key", pkcs8(s.ra.Key)), keep(t, dir, "ra.der", s.ra.Certificate.Raw)
	s.answer = func(*message) []byte {
		in, out := keep(t, dir, "in.der", s.raw[len(s.raw)-1]), filepath.Join(dir, "out.der")
		bouncyCastle(t, "reply", caKey, caCert, raKey, raCert, in, out, "the secret")
		return testpki.Must(os.ReadFile(out))
	}
	o := order(t, nil)
	a, err := c.Begin(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	id := &certs.Identity{Certificate: a.Certificates[0], Key: o.Key}
	if err := id.Check(); err != nil || certs.Addresses(id.Certificate)[0].String() != alice || !certs.Signs(id.Certificate) || !certs.Decrypts(id.Certificate) {
		t.Errorf("%v, %v", err, certs.Addresses(id.Certificate))
	}
}

// TestServerWithBouncyCastle: a client that Bouncy Castle makes gets its certificate.
func TestServerWithBouncyCastle(t *testing.T) {
	d, h := newCA(t)
	ra := keep(t, t.TempDir(), "ra.der", d.ra.Certificate.Raw)
	out := bouncyCastle(t, "client", h.URL+Path, ra, alice, "the secret")
	if out != "2 3\n3 0\n7 transaction-1\nCN="+alice+" true\n" || len(d.asked) != 1 || d.asked[0].Challenge != "the secret" {
		t.Errorf("%s, %+v", strings.TrimSpace(out), d.asked)
	}
}
