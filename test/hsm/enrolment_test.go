//go:build cgo

package hsm

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/pkcs11"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/enrol/est"
	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/internal/testing/softhsmtest"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
	"github.com/smimerelay/smimerelay/test/peer"
	"github.com/smimerelay/smimerelay/test/rig"
)

// carol has no key before she sends mail.
const carol = "carol@example.org"

// enrolled is the table of carol; FROM are the lines about who certifies.
const enrolled = `
[[enrolment]]
name = "in the token"
FROM
token = "smimerelay test"
addresses = ["` + carol + `"]
`

// builtinCA are the lines of a gateway whose own CA certifies.
const builtinCA = `
[ca]
url = "http://pki.example.org/"
organization = "Example"
country = "DE"
`

// estCA is a CA outside that renews for the holder of a certificate, as RFC 7030 section 3.3.2 has it.
type estCA struct {
	*testpki.CA
	mu     sync.Mutex
	issued []*x509.Certificate
	shown  []*x509.Certificate // by clients, for each that was issued; nil: none
}

// CACerts implements est.CA.
func (c *estCA) CACerts(context.Context) ([]*x509.Certificate, error) {
	return []*x509.Certificate{c.Certificate}, nil
}

// Enroll implements est.CA.
func (c *estCA) Enroll(_ context.Context, r est.Request) (*x509.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// Each begins later than those before: the newest signs.
	from := c.Certificate.NotBefore.Add(time.Duration(len(c.issued)+1) * time.Second)
	id, err := c.Issue(testpki.Leaf{Addresses: []string{carol}, PublicKeyInfo: r.CSR.RawSubjectPublicKeyInfo, NotBefore: from})
	if err != nil {
		return nil, err
	}
	c.issued, c.shown = append(c.issued, id.Certificate), append(c.shown, r.Client)
	return id.Certificate, nil
}

// ServerKey implements est.CA.
func (c *estCA) ServerKey(context.Context, est.Request) (*certs.Identity, error) {
	return nil, est.ErrNoServerKeys
}

// serve starts the server, and returns the lines about it.
func (c *estCA) serve(t *testing.T) string {
	t.Helper()
	protocol := &est.Server{Log: slog.New(slog.DiscardHandler), CA: func() (est.CA, func(), error) { return c, func() {}, nil }}
	s := httptest.NewUnstartedServer(protocol.Handler())
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	s.StartTLS()
	t.Cleanup(s.Close)
	trusted := filepath.Join(t.TempDir(), "tls.pem")
	must(t, os.WriteFile(trusted, testpki.EncodeCertificates(s.Certificate()), 0o600))
	return fmt.Sprintf("from = \"est\"\nurl = %q\nca = %q", s.URL+"/.well-known/est", trusted)
}

// TestEnrolment: a key is made in the token, certified, signs and decrypts; a renewal makes another one,
// and the first goes on decrypting; the gateway is killed after each step. The keys never leave the token.
func TestEnrolment(t *testing.T) {
	t.Run("built-in CA", func(t *testing.T) {
		g := startEnrolling(t, `from = "ca"`, builtinCA)
		g.Run(t, "ca", "init")
		g.WaitLog(t, "certificate store changed; changes applied", 1)
		g.ca = &testpki.CA{Root: testpki.Must(file.ParseCertificates([]byte(g.Run(t, "ca", "export"))))[0]}
		g.enrols(t)
	})
	t.Run("EST", func(t *testing.T) {
		c := &estCA{CA: testpki.Must(testpki.NewCA(testpki.Options{}))}
		g := startEnrolling(t, c.serve(t), "")
		g.ca = c.CA
		g.enrols(t)
		if len(c.issued) != 2 || c.shown[0] != nil || !c.issued[0].Equal(c.shown[1]) {
			t.Errorf("%d were issued; clients showed %v", len(c.issued), c.shown)
		}
	})
}

// startEnrolling starts a gateway that orders for carol.
func startEnrolling(t *testing.T, from, more string) *gateway {
	t.Helper()
	g := startGateway(t)
	text := strings.Replace(g.settings("require"), "\n[[rule]]", more+strings.Replace(enrolled, "FROM", from, 1)+"\n[[rule]]", 1)
	g.Configure(t, text+"issue = true\n")
	g.restart(t)
	return g
}

// restart ends the gateway as a power failure would, and starts it again.
func (g *gateway) restart(t *testing.T) {
	t.Helper()
	g.Kill(t)
	g.Start(t)
}

func (g *gateway) enrols(t *testing.T) {
	t.Helper()
	before := g.privateKeys(t)
	first := g.signedBy(t, "first@example.net")
	g.restart(t)
	if again := g.signedBy(t, "again@example.net"); !again.Equal(first) {
		t.Error("another certificate signs after the restart")
	}
	g.decrypts(t, first)
	if n := g.privateKeys(t) - before; n != 1 {
		t.Errorf("%d keys were made in the token", n)
	}

	g.Run(t, "enrol", "request", carol)
	g.WaitLog(t, `msg="identity issued"`, 2)
	g.restart(t)
	second := g.signedBy(t, "second@example.net")
	if bytes.Equal(second.RawSubjectPublicKeyInfo, first.RawSubjectPublicKeyInfo) {
		t.Error("the renewal has the key of before")
	}
	g.decrypts(t, first)
	g.decrypts(t, second)
	if n := g.privateKeys(t) - before; n != 2 {
		t.Errorf("%d keys were made in the token", n)
	}
	if out := g.Run(t, "enrol", "show", carol); strings.Count(out, "smimerelay test") != 2 {
		t.Errorf("the token of each order is not named:\n%s", out)
	}
	g.silent(t)
}

// signedBy has carol send a message, and returns the certificate that OpenSSL verified it with.
func (g *gateway) signedBy(t *testing.T, to string) *x509.Certificate {
	t.Helper()
	reply, out := g.pass(t, rig.Insider, carol, to, mail(t, carol, content).Bytes())
	if !reply.Positive() {
		t.Fatalf("%v\n%s", reply, g.Log())
	}
	if signed, err := peer.NewOpenSSL(t, g.ca).Verify(out); err != nil || !strings.HasSuffix(string(signed), "what only the token opens\r\n") {
		t.Fatalf("%v: OpenSSL reads %q", err, signed)
	}
	parsed := testpki.Must(message.Parse(out))
	list, _, err := cms.ParseBundle(testpki.Must(parsed.Root().Children[1].Decode()))
	i := slices.IndexFunc(list, func(c *x509.Certificate) bool { return slices.Contains(c.EmailAddresses, carol) })
	if err != nil || i < 0 {
		t.Fatalf("%v: no certificate of %s in %d", err, carol, len(list))
	}
	return list[i]
}

// decrypts has a partner encrypt to a certificate of carol.
func (g *gateway) decrypts(t *testing.T, cert *x509.Certificate) {
	t.Helper()
	from := fmt.Sprintf("partner%d@example.net", len(g.sink.All()))
	reply := rig.Dial(t, g.addr, rig.Stranger).Send(from, []string{carol}, mail(t, from, g.openssl(t, cert, nil)).Bytes()).Data
	if !reply.Positive() {
		t.Fatalf("%v\n%s", reply, g.Log())
	}
	got := g.sink.Wait(t, "the answer to "+carol, func(d rig.Delivery) bool { return bytes.Contains(d.Data, []byte("From: "+from)) }).Data
	if !bytes.HasSuffix(got, []byte("\r\n\r\nwhat only the token opens\r\n")) || !bytes.Contains(got, []byte("encrypted=yes")) {
		t.Errorf("delivered\n%s", got)
	}
}

// privateKeys counts those in the token, each of which must be sensitive and never have been
// outside of it.
func (g *gateway) privateKeys(t *testing.T) (n int) {
	t.Helper()
	g.token.Do(t, func(s *softhsmtest.Session) {
		for _, key := range s.Find(pkcs11.CKO_PRIVATE_KEY) {
			n++
			for _, promise := range []uint{pkcs11.CKA_ALWAYS_SENSITIVE, pkcs11.CKA_NEVER_EXTRACTABLE} {
				if v := s.Value(key, promise); len(v) != 1 || v[0] != 1 {
					t.Errorf("attribute %#x: %v", promise, v)
				}
			}
		}
	})
	return n
}
