package service

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/config"
)

// tlsCA issues certificates for TLS.
type tlsCA struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newTLSCA(t *testing.T) *tlsCA {
	ca := &tlsCA{t: t}
	pair := ca.issue(&x509.Certificate{Subject: pkix.Name{CommonName: "CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	ca.cert, ca.key = pair.Leaf, pair.PrivateKey.(*ecdsa.PrivateKey)
	return ca
}

func (ca *tlsCA) issue(c *x509.Certificate) tls.Certificate {
	ca.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		ca.t.Fatal(err)
	}
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<60))
	c.SerialNumber = serial
	if c.NotAfter.IsZero() {
		c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	parent, signer := ca.cert, ca.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		ca.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		ca.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func (ca *tlsCA) server(names ...string) tls.Certificate {
	return ca.issue(&x509.Certificate{DNSNames: names, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
}

func (ca *tlsCA) client(name string) tls.Certificate {
	return ca.issue(&x509.Certificate{DNSNames: []string{name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
}

func (ca *tlsCA) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(ca.cert)
	return p
}

// write writes a certificate and its key into one file.
func (ca *tlsCA) write(path string, pair tls.Certificate) string {
	ca.t.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})
	if pair.PrivateKey != nil {
		der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
		if err != nil {
			ca.t.Fatal(err)
		}
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		ca.t.Fatal(err)
	}
	return path
}

// secured is a service with implicit TLS and three certificates.
const secured = `
hostname = "gw.example.org"
domains = ["example.org"]
[queue]
path = "%DIR%/queue.db"
[store]
url = "%DIR%/store.db"
[next_hop]
address = "%HOP%"
tls = "off"
[trust]
revocation = "off"
fetch = false
[[rule]]
name = "default"
sign = "never"
encrypt = "never"
[[listener]]
name = "in"
protocol = "smtp"
address = "127.0.0.1:0"
tls = "implicit"
tls_certificate = "%TLS%/gw.pem"
tls_key = "%TLS%/gw.pem"
sni_certificates = ["%TLS%/mail.pem", "%TLS%/other.pem"]
client_ca = "%TLS%/ca.pem"
client_names = ["*.apps.example.org"]
`

func startSecured(t *testing.T) (*world, *tlsCA, string) {
	ca, dir := newTLSCA(t), t.TempDir()
	ca.write(filepath.Join(dir, "ca.pem"), tls.Certificate{Certificate: [][]byte{ca.cert.Raw}})
	for file, name := range map[string]string{"gw.pem": "gw.example.org", "mail.pem": "mail.example.org", "other.pem": "*.example.net"} {
		ca.write(filepath.Join(dir, file), ca.server(name))
	}
	return startWorld(t, strings.ReplaceAll(secured, "%TLS%", dir)), ca, dir
}

// The certificate is chosen by the name that the client asks for, read again when its
// file has changed, and kept when that has become useless.
func TestShownCertificates(t *testing.T) {
	w, ca, dir := startSecured(t)
	shown := func(name string) *x509.Certificate {
		t.Helper()
		c, err := tls.Dial("tcp", w.address("in"), &tls.Config{ServerName: name, InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0]
	}
	for name, want := range map[string]string{
		"gw.example.org": "gw.example.org", "mail.example.org": "mail.example.org", "MAIL.example.org": "mail.example.org", "x.example.net": "*.example.net",
		"unknown.example.com": "gw.example.org", "": "gw.example.org",
	} {
		if got := shown(name).DNSNames[0]; got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
	before := shown("mail.example.org")
	if err := os.WriteFile(filepath.Join(dir, "mail.pem"), []byte("half a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	if !shown("mail.example.org").Equal(before) {
		t.Error("a useless file is shown")
	}
	w.log.wait(t, "TLS certificate cannot be read: the one before it is shown")
	renewed := ca.server("mail.example.org")
	ca.write(filepath.Join(dir, "next.pem"), renewed)
	if err := os.Rename(filepath.Join(dir, "next.pem"), filepath.Join(dir, "mail.pem")); err != nil {
		t.Fatal(err)
	}
	if got := shown("mail.example.org"); !got.Equal(renewed.Leaf) {
		t.Errorf("after its renewal: %v", got.SerialNumber)
	}
	w.log.wait(t, "TLS certificate read again")
}

// A certificate of the CA with a listed name lets its client send to the world, and no
// other does.
func TestAdmittedByCertificate(t *testing.T) {
	w, ca, _ := startSecured(t)
	client := func(name string) []tls.Certificate { return []tls.Certificate{ca.client(name)} }
	stranger := newTLSCA(t).client("erp.apps.example.org")
	for name, tc := range map[string]struct {
		certificates []tls.Certificate
		code         int
	}{
		"listed":        {client("erp.apps.example.org"), 250},
		"a user's":      {[]tls.Certificate{ca.issue(&x509.Certificate{EmailAddresses: []string{"eve@erp.apps.example.org"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})}, 550},
		"not listed":    {client("erp.example.org"), 550},
		"of another CA": {[]tls.Certificate{stranger}, 550},
		"a server's":    {[]tls.Certificate{ca.server("erp.apps.example.org")}, 550},
		"none":          {nil, 550},
	} {
		c, err := tls.Dial("tcp", w.address("in"), &tls.Config{ServerName: "gw.example.org", RootCAs: ca.pool(), Certificates: tc.certificates})
		if err != nil {
			t.Fatal(err)
		}
		text := textproto.NewConn(c)
		_, _, _ = text.ReadResponse(220)
		for _, line := range []string{"EHLO client", "MAIL FROM:<a@example.org>", "RCPT TO:<b@example.net>"} {
			_ = text.PrintfLine("%s", line)
			code, answer, _ := text.ReadResponse(0)
			if strings.HasPrefix(line, "RCPT") && code != tc.code {
				t.Errorf("%s: %d %s", name, code, answer)
			}
		}
		text.Close()
	}
}

func TestIdentify(t *testing.T) {
	ca := newTLSCA(t)
	past := &x509.Certificate{DNSNames: []string{"old.apps.example.org"}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	old := ca.issue(past).Leaf
	robot := ca.issue(&x509.Certificate{EmailAddresses: []string{"Robot@example.org"}, DNSNames: []string{"x"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}).Leaf
	named := ca.issue(&x509.Certificate{Subject: pkix.Name{CommonName: "Printer"}}).Leaf
	nameless := ca.issue(&x509.Certificate{}).Leaf
	state := func(c ...*x509.Certificate) tls.ConnectionState { return tls.ConnectionState{PeerCertificates: c} }
	client := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	user := ca.issue(&x509.Certificate{EmailAddresses: []string{"eve@erp.apps.example.org"}, ExtKeyUsage: client}).Leaf
	posing := ca.issue(&x509.Certificate{DNSNames: []string{"robot@x.apps.example.org"}, ExtKeyUsage: client}).Leaf
	anyName := &listenerTLS{ca: ca.pool(), names: []string{"*"}}
	byName := &listenerTLS{ca: ca.pool(), names: []string{"*.apps.example.org", "robot@*"}}
	byFingerprint := func(c *x509.Certificate) *listenerTLS {
		return &listenerTLS{fingerprints: map[[32]byte]bool{sha256.Sum256(c.Raw): true}}
	}
	for _, tc := range []struct {
		name string
		t    *listenerTLS
		c    []*x509.Certificate
		want string
	}{
		{"expired", byName, []*x509.Certificate{old}, ""},
		{"by its mail address", byName, []*x509.Certificate{robot}, "robot@example.org"},
		{"a user of a domain whose hosts are listed", byName, []*x509.Certificate{user}, ""},
		{"a host that poses as a user", byName, []*x509.Certificate{posing}, ""},
		{"any name, a user", anyName, []*x509.Certificate{user}, "eve@erp.apps.example.org"},
		{"any name, a host", anyName, []*x509.Certificate{ca.client("ERP.example.org").Leaf}, "erp.example.org"},
		{"a common name is no name", byName, []*x509.Certificate{named}, ""},
		{"none", byName, nil, ""},
		{"fingerprint, expired", byFingerprint(old), []*x509.Certificate{old}, "old.apps.example.org"},
		{"fingerprint of another", byFingerprint(old), []*x509.Certificate{robot, old}, ""},
		{"fingerprint, common name", byFingerprint(named), []*x509.Certificate{named}, "printer"},
		{"fingerprint, no name", byFingerprint(nameless), []*x509.Certificate{nameless}, "certificate"},
	} {
		if got := tc.t.identify(state(tc.c...)); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
	b := &builder{setting: setting{log: slog.New(slog.DiscardHandler)}, config: &config.Config{}, parts: &Parts{tls: map[string]*listenerTLS{}}}
	path := ca.write(filepath.Join(t.TempDir(), "x.pem"), ca.server("x"))
	b.config.Listeners = []config.Listener{{Name: "a", TLS: "starttls", TLSCert: path, TLSKey: path, ClientFingerprints: []string{hex.EncodeToString(sha256.New().Sum(nil))}}, {Name: "b", TLS: "off", TLSCert: path, TLSKey: path}}
	b.certificatesTLS()
	if len(b.parts.tls) != 1 || b.parts.tls["a"].config().ClientAuth != tls.RequestClientCert || len(b.problems) > 0 {
		t.Errorf("%v, %v", b.parts.tls, b.problems)
	}
	if b.parts.tls["a"].config().MinVersion != tls.VersionTLS12 {
		t.Error("TLS below 1.2 is spoken")
	}
}
