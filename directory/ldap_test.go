package directory

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/slapdtest"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// openLDAP returns an LDAP source that is closed with the test, and that is
// patient if nothing else is said: the machine may be busy.
func openLDAP(tb testing.TB, cfg LDAPConfig) *LDAP {
	tb.Helper()
	if cfg.Timeout == 0 {
		cfg.Timeout = 30 * time.Second
	}
	if cfg.Name == "" {
		cfg.Name = "test"
	}
	if cfg.Base == "" {
		cfg.Base = slapdtest.Suffix
	}
	l, err := NewLDAP(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := l.Close(); err != nil {
			tb.Error(err)
		}
	})
	return l
}

// writeFile returns the path of a new file.
func writeFile(tb testing.TB, name string, data []byte) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// want looks an address up and compares what is found.
func want(tb testing.TB, l *LDAP, address string, certificates ...*x509.Certificate) Finding {
	tb.Helper()
	f, err := l.Find(tb.Context(), addr(tb, address))
	if err != nil {
		tb.Errorf("%s: %v", address, err)
	}
	if !slices.EqualFunc(f.Certificates, certificates, (*x509.Certificate).Equal) {
		tb.Errorf("%s: found %d certificates %v, want %d", address, len(f.Certificates), f.Notes, len(certificates))
	}
	return f
}

func TestLDAPFindsByEveryAddress(t *testing.T) {
	t.Parallel()
	s := slapdtest.Start(t, slapdtest.Config{})
	alice, bobs := issue(t, "alice@example.org", 0), []*x509.Certificate{issue(t, bob, 0), issue(t, bob, 0)}
	s.AddPerson(t, "alice@example.org", alice)
	s.AddPerson(t, bob, bobs...)
	s.AddPerson(t, "nobody@example.org")
	s.Add(t, "cn=Carol,"+slapdtest.People, slapdtest.Attributes{
		"objectClass": {"user"}, "cn": {"Carol"}, "sn": {"C"}, "mail": {"carol@corp.example"},
		"proxyAddresses":         {"SMTP:carol@corp.example", "smtp:c.arol@corp.example", "X400:c=US"},
		"userCertificate;binary": {string(alice.Raw)}, "userAccountControl": {"512"},
	})
	l := openLDAP(t, LDAPConfig{URLs: []string{s.URL()}})
	want(t, l, "alice@example.org", alice)
	want(t, l, "ALICE@Example.ORG", alice)
	want(t, l, bob, bobs...)
	want(t, l, "c.arol@corp.example", alice)
	want(t, l, "nobody@example.org")
	want(t, l, "absent@example.org")
	for _, urls := range []string{s.Addr(), s.SocketURL(), s.URL() + "/" + slapdtest.People + "??one?(mail={addr})"} {
		if urls == s.Addr() {
			urls = "ldap://" + urls + "/"
		}
		want(t, openLDAP(t, LDAPConfig{URLs: []string{urls}}), "alice@example.org", alice)
	}
}

func TestLDAPBinds(t *testing.T) {
	t.Parallel()
	s := slapdtest.Start(t, slapdtest.Config{NoAnonymous: true})
	s.AddPerson(t, bob, issue(t, bob, 0))
	password := writeFile(t, "password", []byte(slapdtest.AdminPassword+"\n"))
	f, err := openLDAP(t, LDAPConfig{URLs: []string{s.URL()}, BindDN: slapdtest.AdminDN, PasswordFile: password}).
		Find(t.Context(), addr(t, bob))
	if err != nil || len(f.Certificates) != 1 {
		t.Errorf("bound: %v, %v", f, err)
	}
	wrong := writeFile(t, "wrong", []byte("guess"))
	for name, cfg := range map[string]LDAPConfig{
		"anonymous":      {URLs: []string{s.URL()}},
		"wrong password": {URLs: []string{s.URL()}, BindDN: slapdtest.AdminDN, PasswordFile: wrong},
	} {
		if f, err := openLDAP(t, cfg).Find(t.Context(), addr(t, bob)); err == nil {
			t.Errorf("%s: no error, found %v", name, f)
		}
	}
}

func TestLDAPOverTLSOnlyWithThePinnedAuthority(t *testing.T) {
	t.Parallel()
	ca, other := testCA(), testpki.Must(testpki.NewCA(testpki.Options{}))
	id := serverIdentity(t, ca)
	s := slapdtest.Start(t, slapdtest.Config{Certificate: id.CertificatePEM(), Key: testpki.Must(id.KeyPEM())})
	cert := issue(t, bob, 0)
	s.AddPerson(t, bob, cert)
	right := writeFile(t, "ca.pem", testpki.EncodeCertificates(ca.Certificate))
	wrong := writeFile(t, "other.pem", testpki.EncodeCertificates(other.Certificate))
	for _, cfg := range []LDAPConfig{{URLs: []string{s.TLSURL()}}, {URLs: []string{s.URL()}, StartTLS: true}} {
		cfg.CA = right
		want(t, openLDAP(t, cfg), bob, cert)
		cfg.CA = wrong
		if f, err := openLDAP(t, cfg).Find(t.Context(), addr(t, bob)); err == nil {
			t.Errorf("%v: trusted a foreign authority: %v", cfg.URLs, f)
		}
		cfg.CA, cfg.URLs[0] = right, strings.Replace(cfg.URLs[0], "127.0.0.1", "localhost", 1)
		if f, err := openLDAP(t, cfg).Find(t.Context(), addr(t, bob)); err == nil {
			t.Errorf("%v: trusted another name: %v", cfg.URLs, f)
		}
	}
}

// serverIdentity makes a key and certificate for 127.0.0.1.
func serverIdentity(tb testing.TB, ca *testpki.CA) *testpki.Identity {
	tb.Helper()
	return testpki.Must(ca.Issue(testpki.Leaf{
		Name:        "server",
		Key:         "rsa2048",
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		Edit:        func(c *x509.Certificate) { c.IPAddresses = loopback },
	}))
}

func TestLDAPServerWithoutTLSIsNotUsedInTheClear(t *testing.T) {
	t.Parallel()
	s := slapdtest.Start(t, slapdtest.Config{})
	s.AddPerson(t, bob, issue(t, bob, 0))
	if f, err := openLDAP(t, LDAPConfig{URLs: []string{s.URL()}, StartTLS: true}).Find(t.Context(), addr(t, bob)); err == nil {
		t.Errorf("found %v", f)
	}
}

func TestLDAPMissingBaseIsNotNone(t *testing.T) {
	t.Parallel()
	s := slapdtest.Start(t, slapdtest.Config{})
	f, err := openLDAP(t, LDAPConfig{URLs: []string{s.URL()}, Base: "ou=moved," + slapdtest.Suffix}).Find(t.Context(), addr(t, bob))
	if err == nil {
		t.Errorf("found %v", f)
	}
}

func TestLDAPSizeLimitIsNotNone(t *testing.T) {
	t.Parallel()
	s := slapdtest.Start(t, slapdtest.Config{})
	for _, name := range strings.Split("abcdefghijklmnopqrstuvwxyz", "") {
		s.Add(t, "cn="+name+","+slapdtest.People, slapdtest.Attributes{
			"objectClass": {"inetOrgPerson"}, "cn": {name}, "sn": {name}, "mail": {bob},
		})
	}
	if f, err := openLDAP(t, LDAPConfig{URLs: []string{s.URL()}}).Find(t.Context(), addr(t, bob)); err == nil {
		t.Errorf("found %v", f)
	}
}

func TestLDAPFailsOverAndRecovers(t *testing.T) {
	t.Parallel()
	first, second := slapdtest.Start(t, slapdtest.Config{}), slapdtest.Start(t, slapdtest.Config{})
	cert := issue(t, bob, 0)
	first.AddPerson(t, bob, cert)
	second.AddPerson(t, bob, cert)
	clock := newFakeClock()
	l := openLDAP(t, LDAPConfig{URLs: []string{first.URL(), second.URL()}, Clock: clock.Now})
	want(t, l, bob, cert)
	first.Stop(t)
	for range 2 * breakAfter {
		want(t, l, bob, cert)
		if f, err := l.Find(t.Context(), addr(t, bob)); err != nil || len(f.Notes) != 1 || !strings.Contains(f.Notes[0], first.URL()) {
			t.Errorf("one server of two is down: notes %q, %v", f.Notes, err)
		}
	}
	second.Stop(t)
	for range 2 * breakAfter {
		if f, err := l.Find(t.Context(), addr(t, bob)); err == nil {
			t.Errorf("all servers are down, found %v", f)
		}
	}
	first.Restart(t)
	clock.advance(restMost)
	want(t, l, bob, cert)
	second.Restart(t)
	want(t, l, bob, cert)
}

func TestLDAPRestartedServerIsNoticedAtOnce(t *testing.T) {
	t.Parallel()
	s := slapdtest.Start(t, slapdtest.Config{})
	cert := issue(t, bob, 0)
	s.AddPerson(t, bob, cert)
	clock := newFakeClock()
	l := openLDAP(t, LDAPConfig{URLs: []string{s.URL()}, Clock: clock.Now})
	for _, pause := range []time.Duration{0, idleCheck, idleLimit} {
		want(t, l, bob, cert)
		s.Stop(t)
		s.Restart(t)
		clock.advance(pause)
		want(t, l, bob, cert)
	}
}

func TestLDAPShowsAClientCertificate(t *testing.T) {
	t.Parallel()
	ca := testCA()
	id := serverIdentity(t, ca)
	authority := testpki.EncodeCertificates(ca.Certificate)
	s := slapdtest.Start(t, slapdtest.Config{
		Certificate: id.CertificatePEM(), Key: testpki.Must(id.KeyPEM()), ClientCA: authority,
		NoAnonymous: true,
	})
	cert := issue(t, bob, 0)
	s.AddPerson(t, bob, cert)
	cfg := LDAPConfig{URLs: []string{s.TLSURL()}, CA: writeFile(t, "ca.pem", authority), External: true}
	if f, err := openLDAP(t, cfg).Find(t.Context(), addr(t, bob)); err == nil {
		t.Errorf("without a certificate: %v", f)
	}
	cfg.ClientCertificate = writeFile(t, "client.pem", id.CertificatePEM())
	cfg.ClientKey = writeFile(t, "client.key", testpki.Must(id.KeyPEM()))
	want(t, openLDAP(t, cfg), bob, cert)
	cfg.URLs, cfg.StartTLS = []string{s.URL()}, true
	want(t, openLDAP(t, cfg), bob, cert)
}

func TestLDAPBindsAsTheUserOfTheSocket(t *testing.T) {
	t.Parallel()
	s := slapdtest.Start(t, slapdtest.Config{NoAnonymous: true})
	cert := issue(t, bob, 0)
	s.AddPerson(t, bob, cert)
	want(t, openLDAP(t, LDAPConfig{URLs: []string{s.SocketURL()}, External: true, StartTLS: true}), bob, cert)
}

func TestPasswordIsReadAtEveryBind(t *testing.T) {
	t.Parallel()
	s := slapdtest.Start(t, slapdtest.Config{NoAnonymous: true})
	cert := issue(t, bob, 0)
	s.AddPerson(t, bob, cert)
	password := writeFile(t, "password", []byte("old"))
	l := openLDAP(t, LDAPConfig{URLs: []string{s.URL()}, BindDN: slapdtest.AdminDN, PasswordFile: password})
	if f, err := l.Find(t.Context(), addr(t, bob)); err == nil {
		t.Errorf("wrong password: %v", f)
	}
	if err := os.WriteFile(password, []byte(slapdtest.AdminPassword), 0o600); err != nil {
		t.Fatal(err)
	}
	want(t, l, bob, cert)
	for _, contents := range []string{"", "\n"} {
		if err := os.WriteFile(password, []byte(contents), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := NewLDAP(LDAPConfig{URLs: []string{s.URL()}, BindDN: "cn=x", PasswordFile: password}); err == nil {
			t.Error("an empty password would be an anonymous bind")
		}
	}
}
