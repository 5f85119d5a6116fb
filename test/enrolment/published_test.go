package enrolment

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

	"github.com/miekg/dns"

	"github.com/smimerelay/smimerelay/internal/slapdtest"
	"github.com/smimerelay/smimerelay/internal/testing/dnstest"
	"github.com/smimerelay/smimerelay/internal/testing/loopback"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

const (
	alice = "alice@corp.example"
	carol = "carol@corp.example"
)

// publisher is a house with identities of alice and carol, and what others need to trust them.
type publisher struct {
	*house
	ca    *testpki.CA
	certs map[string]*x509.Certificate
}

// openPublisher starts a house that publishes.
func openPublisher(t *testing.T, domain, tables string, ports ...int) *publisher {
	t.Helper()
	p := &publisher{ca: testpki.Must(testpki.NewCA(testpki.Options{})), certs: map[string]*x509.Certificate{}}
	p.house = openIn(t, domain, testpki.EncodeCertificates(p.ca.Certificate), tables, ports...)
	for _, user := range []string{"alice", "carol"} {
		addr := user + "@" + domain
		id := testpki.Must(p.ca.Issue(testpki.Leaf{Addresses: []string{addr}, Key: "rsa2048"}))
		p.Run(t, "cert", "import", p.write(t, user+".pem", testpki.Must(id.PEM())))
		p.certs[addr] = id.Certificate
	}
	p.restart(t) // the key file is there now, and what is published is judged at once
	return p
}

// partner is another house, which finds what the publisher publishes.
func (p *publisher) partner(t *testing.T, directory string) *house {
	t.Helper()
	return openIn(t, "partner.example", testpki.EncodeCertificates(p.ca.Certificate), "\n[[directory]]\nname = \"theirs\"\n"+directory)
}

// finds wants a house to find a certificate of an address, nil is none, by its own directories.
func (h *house) finds(t *testing.T, addr string, want *x509.Certificate) {
	t.Helper()
	if want == nil {
		if out := h.RunFails(t, 1, "cert", "lookup", addr); !strings.Contains(out, addr+": none") {
			t.Errorf("%s is found:\n%s", addr, out)
		}
		return
	}
	if out := h.Run(t, "cert", "lookup", "--json", addr); !strings.Contains(out, sum(want)) {
		t.Errorf("%s is not found:\n%s", addr, out)
	}
}

// TestPublishedByLDAP: ldapsearch, the queries of mail programs and the gateway of a partner find what is
// published, and no stranger finds more than that.
func TestPublishedByLDAP(t *testing.T) {
	files := newTLS(t)
	ldaps, start := loopback.FreePort(t), loopback.FreePort(t)
	table := func(name string, port int, more string) string {
		return fmt.Sprintf("\n[[publish]]\nname = %q\nto = \"ldap\"\naddress = \"127.0.0.1:%d\"\ntls_certificate = %q\ntls_key = %q\nrequests_per_minute = 1000\n%s\n",
			name, port, files.chain, files.key, more)
	}
	secret := filepath.Join(t.TempDir(), "password")
	keep(t, secret, "the password\n")
	p := openPublisher(t, "corp.example", table("outside", ldaps, fmt.Sprintf("bind_dn = \"cn=reader\"\npassword_file = %q\nsize_limit = 2", secret))+
		table("inside", start, "start_tls = true\nnetworks = [\"127.0.0.0/8\"]\nbase = \"o=Corp\""), ldaps, start)
	bob := testpki.Must(p.ca.Issue(testpki.Leaf{Addresses: []string{"bob@partner.example"}})).Certificate
	p.Run(t, "cert", "import", p.write(t, "bob.pem", testpki.EncodeCertificates(bob)))
	// size_limit is 2: a third entry is too many.
	third := testpki.Must(p.ca.Issue(testpki.Leaf{Addresses: []string{"dora@corp.example"}}))
	p.Run(t, "cert", "import", p.write(t, "dora.pem", testpki.Must(third.PEM())))
	p.restart(t)
	p.WaitLog(t, "published=3", 1)
	outside := &ldapClient{tls: files.trusted, url: fmt.Sprintf("ldaps://127.0.0.1:%d", ldaps), base: "ou=certificates"}
	inside := &ldapClient{tls: files.trusted, url: fmt.Sprintf("ldap://127.0.0.1:%d", start), base: "o=Corp"}

	t.Run("strangers", func(t *testing.T) { outside.strangers(t, p.certs[alice]) })
	t.Run("StartTLS", func(t *testing.T) {
		if out, status := inside.search(t, "(mail="+alice+")"); status != 13 || strings.Contains(out, "userCertificate") {
			t.Errorf("without TLS: %d, %s", status, out)
		}
		inside.options = []string{"-ZZ"}
		inside.has(t, "(mail="+alice+")", p.certs[alice])
		inside.has(t, "(mail=bob@partner.example)", bob)
		inside.counts(t, "(mail=*)", 3) // partners are found by the beginning of an address
		inside.counts(t, "(mail=bo*)", 1)
	})
	t.Run("bind", func(t *testing.T) {
		bound := *outside
		bound.options = []string{"-D", "cn=reader", "-w", "the password"}
		bound.has(t, "(mail=bob@partner.example)", bob)
		bound.counts(t, "(cn=ali*)", 1)
		if out, status := bound.search(t, "(mail=*)"); status != 4 || strings.Count(out, "\nmail: ") != 2 {
			t.Errorf("more than size_limit: %d\n%s", status, out)
		}
		for _, options := range [][]string{{"-D", "cn=reader", "-w", "another"}, {"-D", "cn=other", "-w", "the password"}} {
			bound.options = options
			if _, status := bound.search(t, "(mail="+alice+")"); status != 49 {
				t.Errorf("%s: %d", options, status)
			}
		}
	})
	t.Run("gateway", func(t *testing.T) {
		h := p.partner(t, fmt.Sprintf("type = \"ldap\"\ndomains = [\"corp.example\"]\nurls = [\"ldaps://localhost:%d\"]\nbase = \"ou=certificates\"\nca = %q\n", ldaps, files.trusted))
		h.finds(t, alice, p.certs[alice])
		h.finds(t, "absent@corp.example", nil)
		p.Run(t, "cert", "block", sum(p.certs[alice]))
		p.restart(t)
		p.WaitLog(t, "published=2", 1)
		h.finds(t, alice, nil)
	})
}

// ldapClient runs ldapsearch.
type ldapClient struct {
	tls, url, base string
	options        []string
}

// search returns what ldapsearch prints, and its exit status, which is the code of the result.
func (c *ldapClient) search(t *testing.T, filter string, attributes ...string) (string, int) {
	t.Helper()
	args := append([]string{"-x", "-LLL", "-o", "ldif-wrap=no", "-H", c.url, "-b", c.base}, c.options...)
	cmd := exec.CommandContext(t.Context(), "ldapsearch", append(append(args, filter), attributes...)...)
	cmd.Env = append(os.Environ(), "LDAPTLS_CACERT="+c.tls, "LDAPTLS_REQCERT=demand")
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return "\n" + string(out), cmd.ProcessState.ExitCode()
}

// counts wants a filter to find so many entries, and no error.
func (c *ldapClient) counts(t *testing.T, filter string, want int) {
	t.Helper()
	if out, status := c.search(t, filter, "mail"); status != 0 || strings.Count(out, "\nmail: ") != want {
		t.Errorf("%s: status %d, want %d entries:\n%s", filter, status, want, out)
	}
}

// has wants a filter to find one entry with a certificate.
func (c *ldapClient) has(t *testing.T, filter string, want *x509.Certificate, attributes ...string) {
	t.Helper()
	out, status := c.search(t, filter, attributes...)
	if status != 0 || strings.Count(out, "\ndn: ") != 1 || !slices.ContainsFunc(values(t, out, "userCertificate"), func(der []byte) bool { return bytes.Equal(der, want.Raw) }) {
		t.Errorf("%s: status %d\n%s", filter, status, out)
	}
}

// values are those of an attribute in LDIF, with or without ;binary.
func values(t *testing.T, ldif, attribute string) (list [][]byte) {
	t.Helper()
	for line := range strings.Lines(ldif) {
		name, text, ok := strings.Cut(line, ":: ")
		if name, _, _ = strings.Cut(name, ";"); ok && name == attribute {
			list = append(list, testpki.Must(base64.StdEncoding.DecodeString(strings.TrimSpace(text))))
		}
	}
	return list
}

// strangers find who they name in full, in each way in which mail programs ask, and no one else.
func (c *ldapClient) strangers(t *testing.T, want *x509.Certificate) {
	// Outlook for iOS and Android, Outlook, Thunderbird, Apple Contacts.
	for _, filter := range []string{
		"(|(mail=%[1]s)(proxyAddresses=smtp:%[1]s))", "(&(mail=*)(|(mail=%[1]s*)(|(cn=%[1]s*)(|(sn=%[1]s*)(givenName=%[1]s*)))))",
		"(mail=%[1]s)", "(mail~=%[1]s)", "(&(objectClass=inetOrgPerson)(|(cn=%[1]s*)(sn=%[1]s*)(mail=%[1]s*)(displayName=*%[1]s*)))",
	} {
		c.has(t, fmt.Sprintf(filter, alice), want)
		c.has(t, fmt.Sprintf(filter, alice), want, "mail", "userCertificate;binary", "userSMIMECertificate;binary")
		c.has(t, fmt.Sprintf(filter, strings.ToUpper(alice)), want, "userCertificate")
	}
	for _, filter := range []string{
		"(objectClass=*)", "(mail=*)", "(cn=*)", "(userCertificate=*)", "(mail=a*)", "(mail=*e*)", "(mail=*@corp.example)", "(mail=alice@corp.exampl*)", "(mail~=alice)",
		"(!(mail=absent@corp.example))", "(!(!(mail=*)))", "(|(!(mail=" + alice + "))(mail=absent@corp.example))", "(mail>=a)", "(mail<=z)", "(mail:caseIgnoreMatch:=" + alice + ")",
		"(:dn:2.5.13.2:=" + alice + ")", "(&)", "(|)", "(entryUUID=*)", "(&(mail=" + alice + ")(mail=" + carol + "))", "(mail=bob@partner.example)", "(mail=absent@corp.example)",
	} {
		c.counts(t, filter, 0)
	}
	c.counts(t, "(|(mail="+alice+")(mail=*)(objectClass=*)(cn=c*))", 1)
	for _, o := range []struct {
		options []string
		filter  string
		status  int
		entries int
	}{
		{[]string{"-s", "one"}, "(objectClass=*)", 0, 0},
		{[]string{"-s", "one"}, "(mail=" + alice + ")", 0, 1},
		{[]string{"-s", "base"}, "(mail=" + alice + ")", 0, 0},
		{[]string{"-s", "base", "-b", "mail=" + alice + ",ou=certificates"}, "(objectClass=*)", 0, 1},
		{[]string{"-s", "sub", "-b", "mail=" + alice + ",ou=certificates"}, "(objectClass=*)", 0, 1},
		{[]string{"-s", "one", "-b", "mail=" + alice + ",ou=certificates"}, "(objectClass=*)", 32, 0},
		{[]string{"-s", "sub", "-b", "mail=al*,ou=certificates"}, "(objectClass=*)", 32, 0},
		{[]string{"-b", ""}, "(mail=*)", 0, 0},
		{[]string{"-b", "dc=corp,dc=example"}, "(mail=" + alice + ")", 32, 0},
		{[]string{"-E", "pr=1/noprompt"}, "(mail=*)", 0, 0},
		{[]string{"-E", "!pr=1/noprompt"}, "(mail=" + alice + ")", 12, 0},
		{[]string{"-E", "!sss=mail"}, "(mail=" + alice + ")", 12, 0},
		{[]string{"-z", "1"}, "(|(mail=" + alice + ")(mail=" + carol + "))", 4, 1},
		{[]string{"-z", "1"}, "(mail=*)", 0, 0},
	} {
		other := *c
		other.options = o.options
		if out, status := other.search(t, o.filter, "mail"); status != o.status || strings.Count(out, "\nmail: ") != o.entries {
			t.Errorf("%s %s: status %d, want %d and %d entries\n%s", o.options, o.filter, status, o.status, o.entries, out)
		}
	}
	six := "(|"
	for i := range 6 {
		six += fmt.Sprintf("(mail=%d@corp.example)", i)
	}
	if _, status := c.search(t, six+")"); status != 53 {
		t.Errorf("six addresses at once: status %d", status)
	}
	for _, change := range []string{"dn: ou=certificates\nchangetype: modify\nadd: description\ndescription: x\n", "dn: mail=x@corp.example,ou=certificates\nchangetype: delete\n"} {
		cmd := exec.CommandContext(t.Context(), "ldapmodify", "-x", "-H", c.url)
		cmd.Env, cmd.Stdin = append(os.Environ(), "LDAPTLS_CACERT="+c.tls), strings.NewReader(change)
		if out, err := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != 53 {
			t.Errorf("a change: %v, %s", err, out)
		}
	}
}

// account is who writes to the directory.
const account = "cn=smimerelay," + slapdtest.Suffix

// TestPublishedInDirectory: what is written to the entries of users, in a server with the schema of Active
// Directory, is found by ldapsearch and by the gateway of a partner; it is removed when the certificate is
// blocked, and what others wrote stays.
func TestPublishedInDirectory(t *testing.T) {
	files := newTLS(t)
	s := slapdtest.Start(t, slapdtest.Config{
		ActiveDirectory: true, Certificate: testpki.Must(os.ReadFile(files.chain)), Key: testpki.Must(os.ReadFile(files.key)),
		Extra: "access to attrs=userPassword by anonymous auth by * none\n" +
			"access to attrs=userCertificate,userSMIMECertificate by dn.exact=\"" + account + "\" write by * read\naccess to * by * read",
	})
	s.Add(t, account, slapdtest.Attributes{"objectClass": {"organizationalRole", "simpleSecurityObject"}, "cn": {"smimerelay"}, "userPassword": {"the password"}})
	manual := testpki.Must(testpki.Must(testpki.NewCA(testpki.Options{})).Issue(testpki.Leaf{Addresses: []string{alice}})).Certificate
	user := func(name string, more slapdtest.Attributes) {
		more["objectClass"], more["cn"], more["sn"] = []string{"user"}, []string{name}, []string{name}
		s.Add(t, "cn="+name+","+slapdtest.People, more)
	}
	user("alice", slapdtest.Attributes{"mail": {alice}, "userCertificate": {string(manual.Raw)}})
	user("carol", slapdtest.Attributes{"proxyAddresses": {"SMTP:" + carol}})
	secret := filepath.Join(t.TempDir(), "password")
	keep(t, secret, "the password\n")
	where := fmt.Sprintf("type = \"ldap\"\ndomains = [\"corp.example\"]\nurls = [\"ldaps://localhost:%d\"]\nbase = %q\nca = %q\n", s.TLSPort, slapdtest.Suffix, files.trusted)
	p := openPublisher(t, "corp.example", fmt.Sprintf("\n[[publish]]\nname = \"users\"\nto = \"directory\"\ndirectory = \"corp\"\nbind_dn = %q\npassword_file = %q\n\n[[directory]]\nname = \"corp\"\n",
		account, secret)+where)
	const written = "msg=\"published certificates written\" target=users published="
	p.WaitLog(t, written+"2", 1)
	c := &ldapClient{tls: files.trusted, url: s.TLSURL(), base: slapdtest.Suffix}
	c.has(t, "(mail="+alice+")", p.certs[alice])
	c.has(t, "(proxyAddresses=smtp:"+carol+")", p.certs[carol])
	h := p.partner(t, where)
	h.finds(t, alice, p.certs[alice])
	h.finds(t, carol, p.certs[carol])
	for _, addr := range []string{alice, carol} {
		p.Run(t, "cert", "block", sum(p.certs[addr]))
	}
	p.restart(t)
	p.WaitLog(t, written, 2)
	c.has(t, "(mail="+alice+")", manual)
	out, _ := c.search(t, "(objectClass=user)")
	if n := len(values(t, out, "userCertificate")) + len(values(t, out, "userSMIMECertificate")); n != 1 {
		t.Errorf("%d values are left:\n%s", n, out)
	}
	h.finds(t, carol, nil)
}

// TestPublishedInDNS: what is written to a signed zone of BIND, by updates with TSIG, is found through Unbound
// by the gateway of a partner, until it is withdrawn.
func TestPublishedInDNS(t *testing.T) {
	const key = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3I="
	servers := dnstest.Start(t, dnstest.Zone{Name: "example.test", Secret: key})
	secret := filepath.Join(t.TempDir(), "tsig")
	keep(t, secret, key+"\n")
	p := openPublisher(t, "example.test", fmt.Sprintf("\n[[publish]]\nname = \"zone\"\nto = \"dns\"\nserver = %q\nzone = \"example.test\"\ntsig_key = %q\ntsig_secret_file = %q\n",
		servers.Primary, dnstest.UpdateKey, secret))
	const written = "msg=\"published certificates written\" target=zone published="
	p.WaitLog(t, written, 1)
	h := p.partner(t, fmt.Sprintf("type = \"smimea\"\nresolver = %q\n", servers.Validating))
	h.finds(t, "alice@example.test", p.certs["alice@example.test"])
	h.finds(t, "carol@example.test", p.certs["carol@example.test"])
	h.finds(t, "absent@example.test", nil)
	p.Run(t, "cert", "block", sum(p.certs["alice@example.test"]))
	n := strings.Count(p.Log(), written)
	p.restart(t)
	p.WaitLog(t, written, n+1)
	if n := p.records(t, servers.Primary, "alice"); n != 0 {
		t.Errorf("%d records of a certificate that is blocked", n)
	}
	if n := p.records(t, servers.Primary, "carol"); n != 1 {
		t.Errorf("%d records of a certificate that is not", n)
	}
}

// records asks the server itself, as they live for a while in the cache of the resolver, for those of a user.
func (p *publisher) records(t *testing.T, server, user string) int {
	t.Helper()
	hash := sha256.Sum256([]byte(user))
	m := new(dns.Msg)
	m.SetQuestion(fmt.Sprintf("%x._smimecert.example.test.", hash[:28]), dns.TypeSMIMEA)
	answer, _, err := (&dns.Client{Net: "tcp"}).ExchangeContext(t.Context(), m, server)
	if err != nil {
		t.Fatal(err)
	}
	return len(answer.Answer)
}
