package nexthop

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/dns"
	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/smtpd"
)

// authority issues the certificates of servers.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  crypto.Signer
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	a.cert, a.key = a.sign("authority", time.Now().Add(time.Hour), true)
	return a
}

func (a *authority) sign(name string, until time.Time, isCA bool) (*x509.Certificate, crypto.Signer) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: until.Add(-48 * time.Hour), NotAfter: until,
		IsCA: isCA, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	if ip := net.ParseIP(name); ip != nil {
		c.IPAddresses = []net.IP{ip}
	} else if !isCA {
		c.DNSNames = []string{name}
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

// pair is a certificate with its chain, for a server.
func (a *authority) pair(name string, until time.Time) tls.Certificate {
	c, key := a.sign(name, until, false)
	return tls.Certificate{Certificate: [][]byte{c.Raw, a.cert.Raw}, PrivateKey: key, Leaf: c}
}

// file is the certificate of the authority in PEM.
func (a *authority) file() string {
	path := filepath.Join(a.t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// mailHost is a server that takes mail.
type mailHost struct {
	address string
	handler wiretest.Handler
	sink    wiretest.Sink
}

// serve starts a server; without a certificate it has no STARTTLS.
func serve(t *testing.T, address string, pair *tls.Certificate) *mailHost {
	t.Helper()
	h := &mailHost{}
	c := smtpd.Config{Hostname: "hop.example.com", Handler: &h.handler, Queue: &h.sink, Log: slog.New(slog.DiscardHandler)}
	if pair != nil {
		c.TLS = &tls.Config{Certificates: []tls.Certificate{*pair}}
	}
	h.address = wiretest.StartAt(t, address, smtpd.NewServer(c))
	return h
}

// got says how often a message came, and whether all came by TLS.
func (h *mailHost) got() (n int, secured bool) {
	seen := h.handler.Seen()
	secured = len(seen) > 0
	for _, s := range seen {
		secured = secured && s.Envelope.Client.TLS
	}
	return len(seen), secured
}

// counted collects what is counted.
type counted struct {
	mu   sync.Mutex
	list []string
}

func (c *counted) add(policy, result string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, policy+" "+result)
}

func (c *counted) take() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.Sort(c.list)
	text := strings.Join(slices.Compact(c.list), ", ")
	c.list = nil
	return text
}

// open returns a next hop for tests: no address is this host but 127.0.0.99.
func open(t *testing.T, c Config) *NextHop {
	t.Helper()
	c.Self = func(a netip.Addr) bool { return a == netip.MustParseAddr("127.0.0.99") }
	c.Client.Hostname, c.Client.Log = "gw.example.org", slog.New(slog.DiscardHandler)
	if c.Client.Timeout == 0 {
		c.Client.Timeout = 10 * time.Second
	}
	n, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

func lookupBy(t *testing.T, server string, timeout ...time.Duration) *dns.Lookup {
	t.Helper()
	r, err := dns.New(dns.Config{Server: server, Timeout: append(timeout, 0)[0]})
	if err != nil {
		t.Fatal(err)
	}
	return dns.NewLookup(r)
}

func letter(t *testing.T, to ...string) relay.Delivery {
	t.Helper()
	d := relay.Delivery{Sender: wiretest.Address(t, "a@example.org"), Message: wiretest.Message(t, "Subject: x\r\n\r\ny\r\n")}
	for _, a := range to {
		d.Recipients = append(d.Recipients, relay.Recipient{Address: wiretest.Address(t, a)})
	}
	return d
}

// deliver sends a letter to someone in a domain and returns the reply for the client.
func deliver(t *testing.T, n *NextHop, domain string) string {
	t.Helper()
	results, relayed := n.Deliver(t.Context(), domain, letter(t, "b@"+domain))
	if len(results) != 1 || len(relayed) != 1 {
		t.Fatalf("%d results for one recipient", len(results))
	}
	if results[0] == nil {
		return "ok"
	}
	r := relay.ReplyFor(results[0])
	return fmt.Sprintf("%d %d.%d.%d", r.Code, r.Enhanced[0], r.Enhanced[1], r.Enhanced[2])
}
