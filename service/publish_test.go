package service

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/internal/testing/dnstest"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
)

// publishConfig puts a [[publish]] before the rules of a configuration.
func publishConfig(text, table string) string {
	before, after, _ := strings.Cut(text, "[[rule]]")
	return before + "[[publish]]\n" + table + "\n[[rule]]" + after
}

// identity puts an identity of an address into the store, as an administrator does.
func (w *world) identity(s *store.Store, addr string) *certs.Identity {
	w.t.Helper()
	id := (*certs.Identity)(testpki.Must(w.ca.Issue(testpki.Leaf{Addresses: []string{addr}})))
	if _, err := s.PutIdentity(w.t.Context(), store.Imported, id); err != nil {
		w.t.Fatal(err)
	}
	return id
}

// wantFound asks a source for an address.
func wantFound(t *testing.T, source directory.Source, text string, want ...*certs.Identity) {
	t.Helper()
	f, err := source.Find(t.Context(), testpki.Must(address.Parse(text)))
	if err != nil {
		t.Errorf("%s: %v", text, err)
		return
	}
	for _, id := range want {
		if !slices.ContainsFunc(f.Certificates, id.Certificate.Equal) {
			t.Errorf("%s: a certificate is missing among %d", text, len(f.Certificates))
		}
	}
	if len(want) == 0 && len(f.Certificates) > 0 {
		t.Errorf("%s: %d certificates", text, len(f.Certificates))
	}
}

// TestPublishHTTPS: the source of type https finds what is published, by an address and no
// other way, until it is revoked; nothing of partners is published.
func TestPublishHTTPS(t *testing.T) {
	chain, key, trusted := tlsFiles(t)
	w := startWorld(t, publishConfig(withAuthority(), `name = "web"
to = "https"
address = "127.0.0.1:0"
addresses = ["example.org", "private@example.org"]
requests_per_minute = 30
tls_certificate = "`+chain+`"
tls_key = "`+key+`"`))
	s := w.open(w.storeFile())
	e := &estWorld{world: w, store: s}
	e.ca()
	alice := w.identity(s, "alice@example.org")
	partner := (*certs.Identity)(testpki.Must(w.ca.Issue(testpki.Leaf{Addresses: []string{"bob@partner.example"}})))
	if _, err := s.Put(t.Context(), store.Imported, store.New{Certificate: partner.Certificate}); err != nil {
		t.Fatal(err)
	}
	// The key of one that the built-in CA issued is elsewhere.
	authorities := testpki.Must(OpenAuthorities(t.Context(), e.parsed(), s, w.now))
	carol := testpki.Must(authorities.Issuing.Issue(t.Context(), ca.Request{Address: testpki.Must(address.Parse("carol@example.org"))}))[0]
	if _, err := s.Put(t.Context(), store.Issued, store.New{Certificate: carol.Certificate, Chain: carol.Chain}); err != nil {
		t.Fatal(err)
	}
	w.log.wait(t, "published=2")
	before, empty := w.log.count("published=1"), w.log.count("published=0")

	_, port, _ := strings.Cut(w.address("[publish:web]"), ":")
	base := "https://localhost:" + port + "/.well-known/smime-certificates"
	source := testpki.Must(directory.NewHTTPS(directory.HTTPSConfig{Name: "self", URL: base + "?address={addr}", CA: trusted}))
	defer source.Close()
	wantFound(t, source, "alice@example.org", alice)
	wantFound(t, source, "carol@example.org", carol)
	wantFound(t, source, "bob@partner.example")
	wantFound(t, source, "absent@example.org")
	if err := s.SetMark(t.Context(), sha256.Sum256(alice.Certificate.Raw), store.Blocked, "by test", time.Time{}); err != nil {
		t.Fatal(err)
	}
	w.log.waitCount(t, "published=1", before+1)
	wantFound(t, source, "alice@example.org")
	if _, err := authorities.Issuing.Revoke(t.Context(), carol.Certificate, ca.Superseded); err != nil {
		t.Fatal(err)
	}
	w.log.waitCount(t, "published=0", empty+1)
	wantFound(t, source, "carol@example.org")

	// Questions that find nothing are limited like the others.
	var err error
	for range 40 {
		if _, err = source.Find(t.Context(), testpki.Must(address.Parse("absent@example.org"))); err != nil {
			break
		}
	}
	if err == nil || !strings.Contains(err.Error(), "429") {
		t.Errorf("after 40 questions: %v", err)
	}
	w.stop()
}

// TestPublishLDAP: the source of type ldap finds what is published, and from a named network
// what is known of partners.
func TestPublishLDAP(t *testing.T) {
	chain, key, trusted := tlsFiles(t)
	table := func(name, more string) string {
		return `name = "` + name + `"
to = "ldap"
address = "127.0.0.1:0"
tls_certificate = "` + chain + `"
tls_key = "` + key + `"
` + more
	}
	both := table("ldaps", "requests_per_minute = 30") + "\n[[publish]]\n" + table("inside", "start_tls = true\nbase = \"o=Example\"\nnetworks = [\"127.0.0.0/8\"]")
	w := startWorld(t, publishConfig(storedConfig, both))
	s := w.open(w.storeFile())
	alice := w.identity(s, "alice@example.org")
	bob := (*certs.Identity)(testpki.Must(w.ca.Issue(testpki.Leaf{Addresses: []string{"bob@partner.example"}})))
	if _, err := s.Put(t.Context(), store.Imported, store.New{Certificate: bob.Certificate}); err != nil {
		t.Fatal(err)
	}
	w.log.wait(t, "published=1")
	source := func(name, scheme, base string, startTLS bool) directory.Source {
		_, port, _ := strings.Cut(w.address("[publish:"+name+"]"), ":")
		l := testpki.Must(directory.NewLDAP(directory.LDAPConfig{
			Name: name, URLs: []string{scheme + "://localhost:" + port}, Base: base, CA: trusted, StartTLS: startTLS,
			Filter: "(|(mail={addr})(proxyAddresses=smtp:{addr}))", Attributes: []string{"userCertificate;binary", "userSMIMECertificate;binary"},
		}))
		t.Cleanup(func() { l.Close() })
		return l
	}
	outside, inside := source("ldaps", "ldaps", "ou=certificates", false), source("inside", "ldap", "o=Example", true)
	wantFound(t, outside, "alice@example.org", alice)
	wantFound(t, outside, "bob@partner.example")
	wantFound(t, inside, "alice@example.org", alice)
	wantFound(t, inside, "bob@partner.example", bob)
	wantFound(t, inside, "absent@partner.example")
	w.stop()
}

// TestPublishDNS: what is written to a signed zone of BIND is found through Unbound by the
// source of type smimea; only its own records are removed.
func TestPublishDNS(t *testing.T) {
	const secret = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3I="
	manual := (*certs.Identity)(testpki.Must(testpki.Must(testpki.NewCA(testpki.Options{})).Issue(testpki.Leaf{Addresses: []string{"alice@example.test"}})))
	hash := sha256.Sum256([]byte("alice"))
	owner := fmt.Sprintf("%x._smimecert", hash[:28])
	servers := dnstest.Start(t, dnstest.Zone{Name: "example.test", Secret: secret, Records: []string{
		fmt.Sprintf("%s IN SMIMEA 3 0 0 %x", owner, manual.Certificate.Raw),
	}})
	text := strings.Replace(storedConfig, `domains = ["example.org"]`, "domains = [\"example.test\"]\nadmin.address = \"127.0.0.1:0\"", 1)
	file := filepath.Join(t.TempDir(), "secret")
	put := func(secret string) {
		if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("d3Jvbmc=")
	w := startWorld(t, publishConfig(text, `name = "zone"
to = "dns"
server = "`+servers.Primary+`"
zone = "example.test"
tsig_key = "`+dnstest.UpdateKey+`"
tsig_secret_file = "`+file+`"
addresses = ["alice@example.test", "bob@example.test"]`))
	s := w.open(w.storeFile())
	alice := w.identity(s, "Alice@example.test")
	w.identity(s, "carol@example.test")
	w.log.wait(t, "msg=\"publishing certificates failed\" target=zone")
	if _, metrics := w.fetch("/metrics"); !strings.Contains(metrics, "smimerelay_publish_up{name=\"zone\"} 0\n") {
		t.Error("the metrics do not show that it failed")
	}
	put(secret)
	w.advance(publishRetry)
	w.log.waitSum(t, "msg=\"published certificates written\" target=zone published=", 2) // of Alice and alice, in one round or two

	source := testpki.Must(directory.NewSMIMEA(directory.SMIMEAConfig{Name: "dns", Resolver: servers.Validating, Probe: "example.test."}))
	defer source.Close()
	wantFound(t, source, "alice@example.test", alice, manual)
	wantFound(t, source, "carol@example.test")

	if err := s.SetMark(t.Context(), sha256.Sum256(alice.Certificate.Raw), store.Blocked, "by test", time.Time{}); err != nil {
		t.Fatal(err)
	}
	w.log.waitSum(t, "msg=\"published certificates written\" target=zone published=", 4)
	if _, metrics := w.fetch("/metrics"); !strings.Contains(metrics, "smimerelay_publish_up{name=\"zone\"} 1\n") {
		t.Error("the metrics do not show that it was written")
	}
	m := new(dns.Msg)
	m.SetQuestion(owner+".example.test.", dns.TypeSMIMEA)
	answer, _, err := (&dns.Client{Net: "tcp"}).ExchangeContext(t.Context(), m, servers.Primary)
	if err != nil || len(answer.Answer) != 1 || answer.Answer[0].(*dns.SMIMEA).Certificate != fmt.Sprintf("%x", manual.Certificate.Raw) {
		t.Errorf("%v, %v", answer, err)
	}
	if noted, err := s.Published(t.Context(), "zone example.test"); err != nil || len(noted) != 0 {
		t.Errorf("noted: %d, %v", len(noted), err)
	}
	w.stop()
}
