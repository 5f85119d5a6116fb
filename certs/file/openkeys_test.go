package file

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
)

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

func TestOpenIdentities(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	a := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"a@x.org"}}))
	b := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"b@x.org"}, Key: "rsa2048"}))
	c := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"c@x.org"}, Key: "ed25519"}))
	dir := t.TempDir()
	write(t, 0o600, testpki.Must(a.PKCS12("of a")), dir, "a.p12")
	write(t, 0o600, []byte("of a\n"), dir, "a.password")
	write(t, 0o600, testpki.Must(b.PKCS12("common")), dir, "b.pfx")
	write(t, 0o640, testpki.Must(c.PEM()), dir, "c.pem")
	write(t, 0o644, c.CertificatePEM(), dir, "public.pem")
	write(t, 0o644, []byte("no identity"), dir, "README")
	password := write(t, 0o600, []byte("common\n"), dir, "common")

	k, err := OpenIdentities(dir, password, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(k.Identities()); n != 3 {
		t.Errorf("%d identities", n)
	}
	for _, addr := range []string{"a@x.org", "b@x.org", "c@x.org"} {
		if id, err := k.Signing(t.Context(), testpki.Must(address.Parse(addr))); id == nil || err != nil {
			t.Errorf("%s: %v, %v", addr, id, err)
		}
	}
	if _, err := OpenIdentities(dir, "", nil); err == nil || !strings.Contains(err.Error(), "b.pfx") || !strings.Contains(err.Error(), "password is wrong") {
		t.Errorf("without the common password: %v", err)
	}
}

func TestOpenIdentitiesRefuses(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	id := testpki.Must(ca.Issue(testpki.Leaf{}))
	other := testpki.Must(ca.Issue(testpki.Leaf{}))
	p12 := testpki.Must(id.PKCS12("secret"))
	for name, c := range map[string]struct {
		file string
		mode os.FileMode
		data []byte
		want string
	}{
		"others read":    {"x.p12", 0o604, p12, "chmod 0600"},
		"group writes":   {"x.p12", 0o660, p12, "chmod 0600"},
		"pem for others": {"x.pem", 0o644, testpki.Must(id.PEM()), "chmod 0600"},
		"wrong password": {"x.p12", 0o600, p12, "password is wrong"},
		"truncated":      {"x.p12", 0o600, p12[:len(p12)/2], "PKCS #12"},
		"no pkcs12":      {"x.p12", 0o600, []byte("hello"), "PKCS #12"},
		"other's key":    {"x.pem", 0o600, append(testpki.Must(other.KeyPEM()), id.CertificatePEM()...), "belongs"},
		"endless":        {"x.p12", 0o600, []byte{0x30, 0x80, 0x02, 0x01, 0x03, 0x30, 0x80, 0, 0}, "truncated"},
		"empty":          {"x.p12", 0o600, nil, "PKCS #12"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, c.mode, c.data, dir, c.file)
			_, err := OpenIdentities(dir, "", nil)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Error("the error tells the password")
			}
		})
	}
	if _, err := OpenIdentities(filepath.Join(t.TempDir(), "absent"), "", nil); err == nil {
		t.Error("a folder that is not there was taken")
	}
	if _, err := OpenIdentities(t.TempDir(), write(t, 0o644, []byte("x"), t.TempDir(), "pw"), nil); err == nil {
		t.Error("a password file that others read was taken")
	}
}

func TestIdentityChain(t *testing.T) {
	root := testpki.Must(testpki.NewCA(testpki.Options{Name: "Root"}))
	sub := testpki.Must(root.Intermediate(testpki.Options{Name: "Sub"}))
	id := testpki.Must(sub.Issue(testpki.Leaf{}))
	file := testpki.EncodeCertificates(root.Certificate, sub.Certificate, id.Certificate)
	file = append(testpki.Must(id.KeyPEM()), file...)
	contents, err := ParseContents(file, "")
	if err != nil || len(contents.Identities) != 1 {
		t.Fatal(contents, err)
	}
	got := contents.Identities[0]
	if !got.Certificate.Equal(id.Certificate) || len(got.Chain) != 1 || !got.Chain[0].Equal(sub.Certificate) {
		t.Errorf("certificate %v, chain %v", got.Certificate.Subject, got.Chain)
	}
}
