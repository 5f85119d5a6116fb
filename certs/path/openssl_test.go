package path

import (
	"crypto/x509"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/file"
)

// peer runs openssl in a folder of its own.
type peer struct {
	t   *testing.T
	dir string
}

func newPeer(t *testing.T) peer {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Fatal("install openssl: apt-get install openssl")
	}
	return peer{t, t.TempDir()}
}

func (p peer) run(args ...string) {
	p.t.Helper()
	cmd := exec.Command("openssl", args...)
	cmd.Dir = p.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Fatalf("openssl %q: %v\n%s", args, err, out)
	}
}

func (p peer) read(name string) *x509.Certificate {
	p.t.Helper()
	list, err := file.ReadCertificates(filepath.Join(p.dir, name))
	if err != nil {
		p.t.Fatal(err)
	}
	return list[0]
}

// authority makes ca.pem with the key options, and leaf.pem under it.
func (p peer) authority(options ...string) (ca, leaf *x509.Certificate) {
	p.t.Helper()
	p.run(append([]string{"genpkey", "-out", "ca.key"}, options...)...)
	p.run("req", "-new", "-x509", "-key", "ca.key", "-subj", "/CN=Authority", "-days", "10", "-out", "ca.pem")
	p.run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "leaf.key")
	p.run("req", "-new", "-key", "leaf.key", "-subj", "/CN=Leaf/emailAddress=a@x.org", "-out", "leaf.csr")
	p.run("x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "5", "-out", "leaf.pem")
	return p.read("ca.pem"), p.read("leaf.pem")
}

func TestAuthoritiesOfOpenSSL(t *testing.T) {
	for _, c := range []struct {
		name    string
		options []string
		want    certs.Reason
		detail  string
	}{
		{"rsa", []string{"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"}, "", ""},
		{"pss", []string{"-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"}, "", ""},
		{"pss, limited", []string{"-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_pss_keygen_md:sha384",
			"-pkeyopt", "rsa_pss_keygen_mgf1_md:sha384", "-pkeyopt", "rsa_pss_keygen_saltlen:48"}, "", ""},
		{"p-384", []string{"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"}, "", ""},
		{"ed25519", []string{"-algorithm", "ED25519"}, "", ""},
		{"ed448", []string{"-algorithm", "ED448"}, certs.UnsupportedSigning, "1.3.101.113"},
		{"brainpool", []string{"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:brainpoolP256r1"}, "", ""},
		{"small", []string{"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"}, certs.WeakKey, "1024"},
	} {
		ca, leaf := newPeer(t).authority(c.options...)
		v := newValidator(t, Config{Anchors: []*x509.Certificate{ca}})
		got := v.Check(t.Context(), leaf, certs.Request{Purpose: certs.ForSigning})
		if got.Reason != c.want || !strings.Contains(got.Detail, c.detail) {
			t.Errorf("%s: %q: %s; want %q", c.name, got.Reason, got.Detail, c.want)
		}
	}
}
