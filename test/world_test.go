package test

import (
	"crypto/x509"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/slapdtest"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/test/peer"
)

// The senders of our own domain.
const (
	alice = "alice@corp.example" // an RSA identity
	erika = "erika@corp.example" // a P-256 identity
	norah = "norah@corp.example" // no identity
)

// rules are those of every gateway in these tests: the domain of a recipient
// says what is done for it.
const rules = formRules + moreRules + harvestRules + groupRules + policyRules + `
[[rule]]
name = "sign-only"
recipient = ["sign.example"]
sign = "require"
encrypt = "never"

[[rule]]
name = "both"
recipient = ["both.example", "silent.example"]
sign = "require"
encrypt = "require"
mixed = "allow"
no_certificate = "reject"

[[rule]]
name = "encrypt-only"
recipient = ["encrypt.example"]
sign = "never"
encrypt = "require"
no_certificate = "reject"

[[rule]]
name = "strip"
recipient = ["strip.example"]
sign = "require"
encrypt = "require"
no_certificate = "strip"

[[rule]]
name = "default"
sign = "never"
encrypt = "never"
`

// encrypted are the domains that nothing may reach in the clear.
var encrypted = []string{"both.example", "silent.example", "encrypt.example", "strip.example", "whole.example", "tagged.example", "hold.example", "harvest.example", "domain.example", "named.example", "protect.example", "mute.example", "secret.example"}

// world is what surrounds a gateway: authorities, certificates in a directory
// and in files, and the peers that judge what comes out. Local parts of
// recipients say what certificate they have; see people.
type world struct {
	dir          string
	ca, stranger *testpki.CA // the stranger is not trusted
	ids          map[string]*testpki.Identity
	foreign      *testpki.Identity // of a partner, by the stranger
	slapd        *slapdtest.Server
	silent       string // an address that accepts connections and says nothing

	openssl, gnupg, nss peer.Peer

	more, inbound string // configuration beside the rest, and in [inbound]
}

func newWorld(t *testing.T) *world {
	t.Helper()
	root := testpki.Must(testpki.NewCA(testpki.Options{Name: "Root"}))
	w := &world{
		dir:      t.TempDir(),
		ca:       testpki.Must(root.Intermediate(testpki.Options{Name: "Mail CA"})),
		stranger: testpki.Must(testpki.NewCA(testpki.Options{Name: "Stranger"})),
		ids:      map[string]*testpki.Identity{},
		slapd:    slapdtest.Start(t, slapdtest.Config{}),
		silent:   silence(t),
	}
	w.people(t)
	w.correspondents(t)
	w.groups(t)
	w.aliases(t)
	w.store(t, "filter.key", []byte(filterKey+"\n"))
	w.store(t, "root.pem", testpki.EncodeCertificates(root.Root))
	w.store(t, "intermediate.pem", testpki.EncodeCertificates(w.ca.Chain...))
	for _, addr := range []string{alice, erika, refused} {
		w.store(t, "identities/"+addr+".pem", testpki.Must(w.ids[addr].PEM()))
	}
	readers := []*testpki.Identity{w.ids["bob@both.example"], w.ids["bob@encrypt.example"], w.ids["bob@strip.example"]}
	w.openssl = peer.NewOpenSSL(t, w.ca, append(slices.Collect(maps.Values(w.ids)), w.foreign)...)
	writers := append(slices.Clone(readers), w.ids[partner], w.ids[alice])
	w.gnupg = peer.NewGnuPG(t, w.ca, writers...)
	w.nss = peer.NewNSS(t, w.ca, writers...)
	return w
}

// people makes identities and publishes certificates: those of bob (RSA) and ec
// (P-256) are good, none is not in the directory, and the others have one
// certificate that will not do. The certificate of file is in a file.
func (w *world) people(t *testing.T) {
	t.Helper()
	past := time.Now().Add(-48 * time.Hour)
	for _, domain := range []string{"both.example", "encrypt.example", "strip.example", "sign.example", "whole.example", "choice.example", "best.example", "tagged.example"} {
		w.publish(t, testpki.Leaf{Addresses: []string{"bob@" + domain}, Key: "rsa2048"})
	}
	for _, domain := range []string{"both.example", "strip.example"} {
		w.publish(t, testpki.Leaf{Addresses: []string{"ec@" + domain}})
		w.publish(t, testpki.Leaf{Addresses: []string{"expired@" + domain}, NotBefore: past, NotAfter: past.Add(time.Hour)})
		w.publish(t, testpki.Leaf{Addresses: []string{"signing@" + domain}, KeyUsage: x509.KeyUsageDigitalSignature})
		other := testpki.Must(w.ca.Issue(testpki.Leaf{Addresses: []string{"another@" + domain}}))
		w.slapd.AddPerson(t, "other@"+domain, other.Certificate)
		foreign := testpki.Must(w.stranger.Issue(testpki.Leaf{Addresses: []string{"untrusted@" + domain}}))
		w.slapd.AddPerson(t, "untrusted@"+domain, foreign.Certificate)
		w.slapd.AddPerson(t, "none@"+domain)
	}
	w.issue(testpki.Leaf{Addresses: []string{lateInLDAP}, Key: "rsa2048"})
	for _, addr := range []string{lateInFile, lateInStore, lateAuthor} {
		w.issue(testpki.Leaf{Addresses: []string{addr}, Key: "rsa2048"})
	}
	w.publish(t, testpki.Leaf{Addresses: []string{"down@both.example"}, Key: "rsa2048"})
	w.issue(testpki.Leaf{Addresses: []string{"file@both.example"}})
	w.store(t, "certificates/file.pem", testpki.EncodeCertificates(w.ids["file@both.example"].Certificate))
	w.issue(testpki.Leaf{Addresses: []string{alice}, Key: "rsa2048"})
	w.issue(testpki.Leaf{Addresses: []string{erika}})
	w.issue(testpki.Leaf{Addresses: []string{refused}, Key: "rsa2048"})
	w.policyPeople(t)
	w.issue(testpki.Leaf{Addresses: []string{partner}, Key: "rsa2048"})
	w.issue(testpki.Leaf{Addresses: ruledAddresses(), Key: "rsa2048"})
	w.issue(testpki.Leaf{Addresses: []string{gatewaySigner}})
	w.issue(testpki.Leaf{Addresses: []string{unnamedSigner}})
	w.foreign = testpki.Must(w.stranger.Issue(testpki.Leaf{Addresses: []string{partner}, Key: "rsa2048"}))
}

func (w *world) issue(l testpki.Leaf) *testpki.Identity {
	id := testpki.Must(w.ca.Issue(l))
	w.ids[l.Addresses[0]] = id
	return id
}

func (w *world) publish(t *testing.T, l testpki.Leaf) {
	t.Helper()
	w.slapd.AddPerson(t, l.Addresses[0], w.issue(l).Certificate)
}

func (w *world) store(t *testing.T, name string, content []byte) {
	t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// config returns a configuration with listeners and next hop as given.
func (w *world) config(wiring, queue string) string {
	text := `hostname = "gw.test"
domains = ["corp.example"]
postmaster = "postmaster@corp.example"

[log]
level = "debug"

[queue]
path = "QUEUE"
retry = ["1s", "2s"]

[store]
url = "QUEUE.store"
key_file = "QUEUE.key"

[identities]
path = "DIR/identities"
sign_for = "mailbox"

[trust]
anchors = ["DIR/root.pem"]
intermediates = ["DIR/intermediate.pem"]
crls = ["DIR/revoked.crl"]
revocation = "off"
fetch = false

[inbound]
revocation = "prefer"
hmac_key_file = "DIR/filter.key"
ciphermail_fields = "X-CipherMail-Info"
INBOUND

[[directory]]
name = "ldap"
type = "ldap"
urls = ["LDAP"]
base = "ou=people,dc=example,dc=org"

[[directory]]
name = "people"
type = "ldap"
domains = ["corp.example"]
urls = ["LDAP"]
base = "ou=people,dc=example,dc=org"
aliases = ["proxyAddresses", "mailAlternateAddress", "mailLocalAddress"]

[[directory]]
name = "contacts"
type = "ldap"
domains = ["corp.example"]
urls = ["LDAP"]
base = "ou=contacts,dc=example,dc=org"
aliases = ["proxyAddresses"]

[[directory]]
name = "files"
type = "files"
path = "DIR/certificates"

[[directory]]
name = "silent"
type = "ldap"
domains = ["silent.example"]
urls = ["ldap://SILENT"]
base = "dc=example,dc=org"
timeout = "1s"
`
	replace := strings.NewReplacer("DIR", w.dir, "QUEUE", queue, "LDAP", w.slapd.URL(), "SILENT", w.silent, "INBOUND", w.inbound)
	return fmt.Sprint(replace.Replace(text), "\n", wiring, "\n", w.more, rules)
}

// silence listens and never answers.
func silence(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var held []net.Conn
		for {
			conn, err := l.Accept()
			if err != nil {
				for _, conn := range held {
					conn.Close()
				}
				return
			}
			held = append(held, conn)
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return l.Addr().String()
}
