package ldapd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/publish"
	"github.com/smimerelay/smimerelay/smime/address"
)

type trusting struct{}

func (trusting) Check(_ context.Context, c *x509.Certificate, _ certs.Request) certs.Verdict {
	if strings.HasPrefix(c.Subject.CommonName, "doubtful") {
		return certs.Verdict{Result: certs.TempError}
	}
	return certs.Verdict{Result: certs.Pass, Chain: []*x509.Certificate{c}}
}

// others are the partners of a test.
type others struct {
	known map[string]*x509.Certificate
	mu    sync.Mutex
	asked []string
}

func (o *others) Find(_ context.Context, a address.Address) (*publish.Entry, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = append(o.asked, a.String())
	if a.Local() == "unknown" {
		return nil, errors.New("a directory is silent")
	}
	if c := o.known[a.Key(address.IgnoreCase)]; c != nil {
		return &publish.Entry{Address: a, Certificates: []*x509.Certificate{c}}, nil
	}
	return nil, nil
}

func (o *others) Beginning(_ context.Context, text string, _ int) ([]address.Address, error) {
	var list []address.Address
	for key := range o.known {
		if strings.HasPrefix(key, text) {
			list = append(list, testpki.Must(address.Parse(key)))
		}
	}
	return list, nil
}

// world is a running server: alice, bob and hidden@ are local, hidden is not published;
// carol is a partner.
type world struct {
	t         *testing.T
	mu        sync.Mutex
	published Published
	server    *Server
	address   string
	trusted   string // file with the authority of the server
	roots     *x509.CertPool
	others    *others
	certs     map[string]*x509.Certificate
	counts    map[string]int
}

func start(t *testing.T, mode TLSMode) *world {
	t.Helper()
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	w := &world{t: t, others: &others{known: map[string]*x509.Certificate{}}, certs: map[string]*x509.Certificate{}, counts: map[string]int{}}
	for _, text := range []string{"alice@example.org", "bob@example.org", "hidden@example.org", "doubtful@example.org", "carol@partner.example"} {
		w.certs[text] = testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{text}, Name: strings.Split(text, "@")[0] + " Example"})).Certificate
	}
	w.others.known["carol@partner.example"] = w.certs["carol@partner.example"]
	own := func(a address.Address) bool { return a.Domain() == "example.org" }
	snapshot := testpki.Must(publish.New(t.Context(), publish.Config{
		Each: func(_ context.Context, f func(*x509.Certificate, []*x509.Certificate) bool) error {
			for _, c := range w.certs {
				f(c, nil)
			}
			return nil
		},
		Own: own, Checker: trusting{}, Clock: time.Now,
	}, nil))
	w.published = Published{
		Snapshot: snapshot, Match: func(a address.Address) bool { return a.Local() != "hidden" }, Own: own, Partners: w.others,
		Base: "ou=certificates", PerMinute: 1000, SizeLimit: 100, StartTLS: mode == StartTLS,
		BindDN: "cn=reader", Password: func() (string, error) { return "secret", nil },
	}
	w.server = &Server{
		Published: func() (*Published, func()) {
			w.mu.Lock()
			defer w.mu.Unlock()
			p := w.published
			return &p, func() {}
		},
		Limiter: publish.NewLimiter(time.Now), Mode: mode, Log: slog.New(slog.DiscardHandler),
		Count: func(result string) { w.mu.Lock(); defer w.mu.Unlock(); w.counts[result]++ },
	}
	w.identify()
	l := testpki.Must((&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0"))
	w.address = l.Addr().String()
	done := make(chan error, 1)
	go func() { done <- w.server.Serve(l) }()
	t.Cleanup(func() {
		if err := w.server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("served until %v", err)
		}
	})
	return w
}

// identify gives the server a certificate.
func (w *world) identify() {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	id := testpki.Must(ca.Issue(testpki.Leaf{Name: "localhost", ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, Edit: func(c *x509.Certificate) {
		c.DNSNames, c.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	}}))
	w.server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{id.Certificate.Raw}, PrivateKey: id.Key}}}
	w.roots = x509.NewCertPool()
	w.roots.AddCert(ca.Certificate)
	w.trusted = filepath.Join(w.t.TempDir(), "ca.pem")
	if err := os.WriteFile(w.trusted, testpki.EncodeCertificates(ca.Certificate), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// set changes what is published.
func (w *world) set(change func(*Published)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(&w.published)
}

// insiders makes all clients of this host such with all rights.
func insiders(p *Published) { p.Networks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }

// dial connects as a client that does not use TLS yet.
func (w *world) dial() *ldap.Conn {
	w.t.Helper()
	c := testpki.Must(ldap.DialURL("ldap://" + w.address))
	w.t.Cleanup(func() { c.Close() })
	return c
}

// search returns the addresses that a filter finds, and the result code.
func search(t *testing.T, c *ldap.Conn, base string, scope int, filter string, attributes ...string) (list []string, code uint16) {
	t.Helper()
	r, err := c.Search(ldap.NewSearchRequest(base, scope, ldap.NeverDerefAliases, 0, 0, false, filter, attributes, nil))
	if err != nil {
		e, ok := errors.AsType[*ldap.Error](err)
		if !ok {
			t.Fatal(err)
		}
		code = e.ResultCode
	}
	if r != nil {
		for _, e := range r.Entries {
			list = append(list, e.GetAttributeValue("mail"))
		}
	}
	slices.Sort(list)
	return list, code
}
