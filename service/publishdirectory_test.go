package service

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/internal/slapdtest"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

const (
	accountDN       = "cn=smimerelay," + slapdtest.Suffix
	accountPassword = "secret-account"
)

// corp is a directory with the schema of Active Directory and an account that may write
// certificates.
type corp struct {
	*slapdtest.Server
	trusted, password string
}

func startCorp(t *testing.T) *corp {
	t.Helper()
	chain, key, trusted := tlsFiles(t)
	s := slapdtest.Start(t, slapdtest.Config{
		ActiveDirectory: true, Certificate: testpki.Must(os.ReadFile(chain)), Key: testpki.Must(os.ReadFile(key)),
		Extra: `access to attrs=userPassword by anonymous auth by * none
access to attrs=userCertificate,userSMIMECertificate by dn.exact="` + accountDN + `" write by * read
access to * by * read`,
	})
	s.Add(t, accountDN, slapdtest.Attributes{"objectClass": {"organizationalRole", "simpleSecurityObject"}, "cn": {"smimerelay"}, "userPassword": {accountPassword}})
	return &corp{s, trusted, filepath.Join(t.TempDir(), "password")}
}

// user makes an entry, and returns its name.
func (c *corp) user(t *testing.T, name string, more slapdtest.Attributes) string {
	t.Helper()
	dn := "cn=" + name + "," + slapdtest.People
	attributes := slapdtest.Attributes{"objectClass": {"user"}, "cn": {name}, "sn": {name}}
	for k, v := range more {
		attributes[k] = v
	}
	c.Add(t, dn, attributes)
	return dn
}

// config publishes to the directory.
func (c *corp) config(text string) string {
	return publishConfig(text, fmt.Sprintf(`name = "users"
to = "directory"
directory = "corp"
bind_dn = %q
password_file = %q
[[directory]]
name = "corp"
type = "ldap"
domains = ["example.org"]
urls = ["ldaps://localhost:%d"]
base = %q
ca = %q
timeout = "10s"
`, accountDN, c.password, c.TLSPort, slapdtest.Suffix, c.trusted))
}

// values reads an attribute with ldapsearch.
func (c *corp) values(t *testing.T, dn, attribute string) (list [][]byte) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ldapsearch", "-x", "-LLL", "-o", "ldif-wrap=no", "-H", c.URL(), "-s", "base", "-b", dn, attribute).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if text, ok := strings.CutPrefix(line, attribute+":: "); ok {
			list = append(list, testpki.Must(base64.StdEncoding.DecodeString(strings.TrimSpace(text))))
		}
	}
	return list
}

// TestPublishDirectory: what is written to the entries of users is found by ldapsearch and by the
// source of type ldap, with the capabilities; it leaves when it is blocked, and what others wrote
// stays.
func TestPublishDirectory(t *testing.T) {
	c := startCorp(t)
	manual := testpki.Must(testpki.Must(testpki.NewCA(testpki.Options{})).Issue(testpki.Leaf{Addresses: []string{"alice@example.org"}})).Certificate
	alice := c.user(t, "alice", slapdtest.Attributes{"mail": {"alice@example.org"}, "userCertificate": {string(manual.Raw)}, "userSMIMECertificate": {string(manual.Raw)}})
	carol := c.user(t, "carol", slapdtest.Attributes{"proxyAddresses": {"SMTP:carol@example.org", "smtp:c@example.org"}})
	put := func(password string) {
		t.Helper()
		if err := os.WriteFile(c.password, []byte(password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("wrong")
	w := startWorld(t, c.config(storedConfig))
	s := w.open(w.storeFile())
	identity := func(usage x509.KeyUsage, addresses ...string) *certs.Identity {
		id := (*certs.Identity)(testpki.Must(w.ca.Issue(testpki.Leaf{Addresses: addresses, Key: "rsa2048", KeyUsage: usage})))
		if _, err := s.PutIdentity(t.Context(), store.Imported, id); err != nil {
			t.Fatal(err)
		}
		return id
	}
	one := identity(0, "alice@example.org")
	encrypts, signs := identity(x509.KeyUsageKeyEncipherment, "carol@example.org", "c@example.org"), identity(x509.KeyUsageDigitalSignature, "carol@example.org")
	w.identity(s, "extra@example.org") // who has no entry

	// A wrong password is reported once, and tried less and less often.
	w.log.wait(t, "Invalid Credentials")
	w.advance(publishRetry)
	put(accountPassword)
	w.advance(2 * publishRetry)
	w.log.wait(t, "msg=\"published certificates written\" target=users published=2")
	w.log.wait(t, "absent=1 address=extra@example.org")
	if n := w.log.count("Invalid Credentials"); n != 1 {
		t.Errorf("a wrong password is reported %d times", n)
	}

	source := testpki.Must(directory.NewLDAP(directory.LDAPConfig{Name: "corp", URLs: []string{c.URL()}, Base: slapdtest.Suffix, Timeout: patience}))
	defer source.Close()
	wantFound(t, source, "alice@example.org", one, &certs.Identity{Certificate: manual})
	wantFound(t, source, "c@example.org", encrypts)
	wantFound(t, source, "extra@example.org")
	f := testpki.Must(source.Find(t.Context(), testpki.Must(address.Parse("carol@example.org"))))
	if len(f.Claims) != 1 || !f.Claims[0].Signer.Equal(signs.Certificate) || f.Claims[0].Preferred == nil || !f.Claims[0].Preferred.Matches(encrypts.Certificate) || len(f.Claims[0].Ciphers) == 0 {
		t.Errorf("claims %+v", f.Claims)
	}
	if list := c.values(t, carol, "userCertificate"); len(list) != 1 || !bytes.Equal(list[0], encrypts.Certificate.Raw) {
		t.Errorf("ldapsearch: %d certificates", len(list))
	}
	list := c.values(t, carol, "userSMIMECertificate")
	if len(list) != 1 {
		t.Fatalf("ldapsearch: %d signed values", len(list))
	}
	if signed, err := cms.ParseSignedData(list[0]); err != nil || !slices.ContainsFunc(signed.Certificates, signs.Certificate.Equal) {
		t.Errorf("%v, %v", signed, err)
	}

	for n, id := range []*certs.Identity{one, encrypts} {
		if err := s.SetMark(t.Context(), sha256.Sum256(id.Certificate.Raw), store.Blocked, "by test", time.Time{}); err != nil {
			t.Fatal(err)
		}
		w.log.waitCount(t, "msg=\"published certificates written\" target=users published=1", n+1)
	}
	if n := len(c.values(t, carol, "userCertificate")) + len(c.values(t, carol, "userSMIMECertificate")); n > 0 {
		t.Errorf("%d values are left", n)
	}
	for _, attribute := range []string{"userCertificate", "userSMIMECertificate"} {
		if list := c.values(t, alice, attribute); len(list) != 1 || !bytes.Equal(list[0], manual.Raw) {
			t.Errorf("%s of others: %d", attribute, len(list))
		}
	}
	w.stop()
}

// TestProbeEntries: an account that may write more than certificates is found out before it
// writes anything.
func TestProbeEntries(t *testing.T) {
	c := startCorp(t)
	c.user(t, "alice", slapdtest.Attributes{"mail": {"alice@example.org"}, "allowedAttributesEffective": {"userCertificate", "servicePrincipalName", "userSMIMECertificate"}})
	c.user(t, "twin", slapdtest.Attributes{"mail": {"two@example.org"}})
	c.user(t, "other", slapdtest.Attributes{"mail": {"two@example.org"}})
	if err := os.WriteFile(c.password, []byte(accountPassword), 0o600); err != nil {
		t.Fatal(err)
	}
	w := startWorld(t, c.config(storedConfig))
	w.identity(w.open(w.storeFile()), "alice@example.org")
	w.stop()
	p, problems := loadElsewhere(t, w.config())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	defer p.Close()
	for sample, want := range map[string]string{
		"":                    "[{users alice@example.org [servicePrincipalName] <nil>}]",
		"bob@partner.example": "[{users alice@example.org [servicePrincipalName] <nil>}]",
		"absent@example.org":  "[{users  [] <nil>}]",
		"two@example.org":     "[{users two@example.org [] two@example.org: several entries have this address: none of them is written}]",
	} {
		a := address.Null
		if sample != "" {
			a = testpki.Must(address.Parse(sample))
		}
		if got := strings.ReplaceAll(fmt.Sprint(p.ProbeEntries(t.Context(), a)), "<>", ""); got != want {
			t.Errorf("%s: %s, want %s", sample, got, want)
		}
	}
}
