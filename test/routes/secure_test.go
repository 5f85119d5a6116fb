package routes

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/dnstest"
	"github.com/smimerelay/smimerelay/internal/testing/loopback"
	"github.com/smimerelay/smimerelay/test/rig"
)

// inNamespace is set where the test runs in a network of its own: mail exchangers have
// port 25 and policies port 443, and a mail exchanger at an address of this host is a loop.
// There, all of 192.0.2.0/24 is taken in by the loopback interface, and is no address of
// the host.
const inNamespace = "ROUTES_IN_NAMESPACE"

// TestSecuredByDNS: the binary with a route to mail exchangers, real DNS servers with a zone
// that is signed, one that is not and one whose signatures have expired, a web server with
// MTA-STS policies, and Postfix as all mail exchangers. What each domain demands is done,
// or its mail waits; `route test --probe` says why.
func TestSecuredByDNS(t *testing.T) {
	if os.Getenv(inNamespace) != "" {
		testSecuredByDNS(t)
		return
	}
	unshare := rig.Tool(t, "unshare", "util-linux")
	if out, err := exec.Command(unshare, "--net", "true").CombinedOutput(); err != nil {
		t.Skipf("this machine allows no network of the test's own: %v, %s", err, out)
	}
	cmd := exec.Command(unshare, "--net", "sh", "-ec",
		`"$1" link set lo up; "$1" route add local 192.0.2.0/24 dev lo; exec "$2" -test.run '^TestSecuredByDNS$' -test.timeout 10m -test.v`,
		"sh", rig.Tool(t, "ip", "iproute2"), os.Args[0])
	cmd.Env = append(os.Environ(), inNamespace+"=yes", rig.Binary+"="+program)
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestSecuredByDNS")) {
		t.Errorf("%v\n%s", err, out)
	}
}

// exchanger is a mail exchanger with the domain "to-NAME" in its zone.
type exchanger struct {
	name, zone string
	pair       []byte   // its chain with its key, PEM; none is no STARTTLS
	tlsa       []string // for port 25
	policy     string   // MTA-STS; "-" is announced, and not there
	// delivered by TLS or without; "" is not at all.
	delivered string
	// what `route test --probe` prints.
	shown []string
}

func (x *exchanger) domain() string { return "to-" + x.name + "." + x.zone }

func exchangers(ca, other *issuer) []*exchanger {
	valid, past := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	sts := func(mx string) string {
		return "version: STSv1\nmode: enforce\nmax_age: 86400\nmx: " + mx + "\n"
	}
	right, rightKey := ca.issue("elsewhere.test", past)
	wrong, _ := ca.issue("wrong.signed.test", valid)
	anchored, _ := other.issue("anchored.signed.test", valid)
	expired, _ := other.issue("expired.signed.test", past)
	missing, _ := other.issue("missing.signed.test", valid)
	of := func(name string, until time.Time) []byte { chain, _ := ca.issue(name, until); return chain }
	unknown, _ := other.issue("sts-unknown.plain.test", valid)
	return []*exchanger{
		{name: "right", zone: signed, pair: right, tlsa: []string{"3 1 1 " + sum(rightKey)}, delivered: "TLS", shown: []string{"security: TLS with a certificate of its TLSA records (DANE): 3 1 1", ", verified"}},
		{name: "anchored", zone: signed, pair: anchored, tlsa: []string{"2 0 1 " + sum(other.cert.Raw)}, delivered: "TLS", shown: []string{"(DANE): 2 0 1", ", verified"}},
		{name: "wrong", zone: signed, pair: wrong, tlsa: []string{"3 1 1 " + sum(nil)}, shown: []string{"no TLSA record matches the certificate of the server"}},
		{name: "expired", zone: signed, pair: expired, tlsa: []string{"2 0 1 " + sum(other.cert.Raw)}, shown: []string{"certificate has expired"}},
		{name: "no-tls", zone: signed, tlsa: []string{"3 1 1 " + sum(rightKey)}, shown: []string{"does not offer STARTTLS, which is required"}},
		{name: "missing", zone: signed, pair: missing, delivered: "TLS", shown: []string{"security: TLS if it is offered, not verified (no TLSA record, and no MTA-STS policy)", ", not verified"}},
		{name: "forged", zone: plain, pair: of("forged.plain.test", valid), tlsa: []string{"3 1 1 " + sum(nil)}, delivered: "TLS", shown: []string{"note: the MX records are not secured by DNSSEC", "its name is not secured by DNSSEC"}},
		{name: "sts-right", zone: plain, pair: of("sts-right.plain.test", valid), policy: sts("*.plain.test"), delivered: "TLS", shown: []string{"security: TLS with a certificate for sts-right.plain.test (MTA-STS policy of to-sts-right.plain.test)", ", verified"}},
		{name: "sts-name", zone: plain, pair: of("elsewhere.test", valid), policy: sts("*.plain.test"), shown: []string{"certificate is valid for elsewhere.test, not sts-name.plain.test"}},
		{name: "sts-expired", zone: plain, pair: of("sts-expired.plain.test", past), policy: sts("*.plain.test"), shown: []string{"certificate has expired"}},
		{name: "sts-unknown", zone: plain, pair: unknown, policy: sts("*.plain.test"), shown: []string{"certificate signed by unknown authority"}},
		{name: "sts-no-tls", zone: plain, policy: sts("*.plain.test"), shown: []string{"does not offer STARTTLS, which is required"}},
		{name: "sts-mx", zone: plain, pair: of("sts-mx.plain.test", valid), policy: sts("mx.example.net"), shown: []string{"not used: ", "does not name the mail exchanger sts-mx.plain.test"}},
		{name: "sts-missing", zone: plain, policy: "-", delivered: "clear", shown: []string{"no MTA-STS policy could be had", "404 Not Found", "no TLS"}},
		{name: "sts-none", zone: plain, delivered: "clear", shown: []string{"and no MTA-STS policy)", "no TLS"}},
	}
}

const signed, plain = "signed.test", "plain.test"

func testSecuredByDNS(t *testing.T) {
	ca, other, dir := newIssuer(t, "web"), newIssuer(t, "other"), shared(t)
	all, sink := exchangers(ca, other), rig.StartSink(t)
	var master strings.Builder
	zones, policies := map[string][]string{}, map[string]string{}
	for i, x := range all {
		address := fmt.Sprintf("192.0.2.%d", 10+i)
		fmt.Fprintf(&master, "%s:25 inet n - n - - smtpd\n  -o myhostname=%s.%s\n", address, x.name, x.zone)
		if x.pair != nil {
			file := filepath.Join(dir, x.name+".pem")
			if err := os.WriteFile(file, x.pair, 0o600); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&master, "  -o smtpd_tls_security_level=may\n  -o smtpd_tls_chain_files=%s\n", file)
		}
		records := []string{x.name + " IN A " + address, fmt.Sprintf("to-%s IN MX 10 %s", x.name, x.name)}
		for _, r := range x.tlsa {
			records = append(records, fmt.Sprintf("_25._tcp.%s IN TLSA %s", x.name, r))
		}
		if x.policy != "" {
			records = append(records, fmt.Sprintf(`_mta-sts.to-%s IN TXT "v=STSv1; id=1"`, x.name), fmt.Sprintf("mta-sts.to-%s IN A 192.0.2.2", x.name))
			policies[x.domain()] = x.policy
		}
		zones[x.zone] = append(zones[x.zone], records...)
	}
	zones[signed] = append(zones[signed], "to-bogus-host IN MX 10 mx.bogus.test.")
	running := dnstest.Start(t, dnstest.Zone{Name: signed, Records: zones[signed]}, dnstest.Zone{Name: plain, Records: zones[plain], Unsigned: true},
		dnstest.Zone{Name: "bogus.test", Records: []string{"mx IN A 192.0.2.3", "to IN MX 10 mx"}, Expired: true})
	servePolicies(t, ca, policies)
	ready, listen, admin := loopback.FreePort(t), loopback.FreePort(t), loopback.FreePort(t)
	fmt.Fprintf(&master, "tlsmgr unix - - n 1000? 1 tlsmgr\n127.0.0.1:%d inet n - n - - smtpd\n", ready)
	rig.StartPostfix(t, rig.PostfixConfig{
		Ports: []int{ready}, Master: master.String(),
		Main: "mynetworks = 0.0.0.0/0\nsmtpd_tls_received_header = yes\nsmtp_tls_security_level = none\nrelayhost = " + bracketed(sink.Addr()) + "\n",
	})
	t.Setenv("SSL_CERT_FILE", ca.file(t))
	t.Setenv("SSL_CERT_DIR", t.TempDir())
	g := rig.StartGateway(t, program, fmt.Sprintf(`hostname = "gw.example.org"
domains = ["example.org"]
[admin]
address = "127.0.0.1:%d"
[trust]
revocation = "off"
fetch_networks = ["192.0.2.0/24"]
[queue]
retry = ["4h"]
[dns]
resolvers = [%q]
[[listener]]
name = "relay"
protocol = "smtp"
address = "127.0.0.1:%d"
networks = ["127.0.0.1/32"]
[[rule]]
name = "default"
sign = "never"
encrypt = "never"
[[route]]
name = "internet"
to = ["mx"]
tls = "mta-sts"
timeout = "30s"
`, admin, running.Validating, listen), listen, admin)
	probe := func(status int, domain string, shown ...string) {
		t.Helper()
		out := g.RunFails(t, status, "route", "test", "b@"+domain, "--probe")
		for _, want := range shown {
			if !strings.Contains(out, want) {
				t.Errorf("route test --probe b@%s does not print %q:\n%s", domain, want, out)
			}
		}
	}
	c := rig.Dial(t, fmt.Sprintf("127.0.0.1:%d", listen), "127.0.0.1")
	send := func(domain string) {
		t.Helper()
		text := "From: a@example.org\r\nTo: b@" + domain + "\r\nSubject: x\r\n\r\nx\r\n"
		if tx := c.Send("a@example.org", []string{"b@" + domain}, []byte(text)); !tx.Data.Positive() {
			t.Fatalf("%s: %+v", domain, tx)
		}
	}
	for _, x := range all {
		status := 1
		if x.delivered != "" {
			status = 0
		}
		probe(status, x.domain(), x.shown...)
		send(x.domain())
	}
	unknown := []string{"to-bogus-host." + signed, "to.bogus.test"}
	probe(1, unknown[0], "not used: ", "SERVFAIL")
	probe(1, unknown[1], "not delivered: 451 4.4.3 mail exchangers of to.bogus.test could not be looked up")
	for _, domain := range unknown {
		send(domain)
		g.WaitLog(t, "recipient=b@"+domain+" error=", 1)
	}
	for _, x := range all {
		if x.delivered == "" {
			g.WaitLog(t, "recipient=b@"+x.domain()+" error=", 1)
			continue
		}
		d := sink.Wait(t, x.domain(), func(d rig.Delivery) bool { return d.To[0] == "b@"+x.domain() })
		if secured := bytes.Contains(d.Data, []byte("using TLSv1.3")); secured != (x.delivered == "TLS") {
			t.Errorf("%s came by TLS: %v\n%s", x.domain(), secured, d.Data)
		}
	}
	for _, d := range sink.All() {
		for _, x := range all {
			if x.delivered == "" && d.To[0] == "b@"+x.domain() {
				t.Errorf("mail for %s was delivered", x.domain())
			}
		}
	}
	metrics := get(t, fmt.Sprintf("http://127.0.0.1:%d/metrics", admin))
	for _, want := range []string{
		`{policy="tlsa",result="success"} 2`, `{policy="tlsa",result="validation-failure"} 1`, `{policy="tlsa",result="certificate-expired"} 1`,
		`{policy="tlsa",result="starttls-not-supported"} 1`, `{policy="sts",result="success"} 1`, `{policy="sts",result="certificate-host-mismatch"} 1`,
		`{policy="sts",result="certificate-expired"} 1`, `{policy="sts",result="certificate-not-trusted"} 1`, `{policy="sts",result="starttls-not-supported"} 1`,
		`{policy="sts",result="validation-failure"} 1`, `{policy="sts",result="sts-policy-fetch-error"} 1`, `{policy="no-policy-found",result="success"} 2`,
	} {
		if !strings.Contains(metrics, "smimerelay_tls_sessions_total"+want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	if t.Failed() {
		t.Log(metrics)
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// servePolicies is the web server of all domains that announce a policy.
func servePolicies(t *testing.T, ca *issuer, policies map[string]string) {
	t.Helper()
	l, err := net.Listen("tcp", "192.0.2.2:443")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			text := policies[strings.TrimPrefix(r.Host, "mta-sts.")]
			if text == "-" || r.URL.Path != "/.well-known/mta-sts.txt" {
				http.NotFound(w, r)
				return
			}
			w.Header().Set("Content-Type", "text/plain")
			io.WriteString(w, text)
		}),
		TLSConfig: &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			chain, _ := ca.issue(h.ServerName, time.Now().Add(time.Hour))
			pair, err := tls.X509KeyPair(chain, chain)
			return &pair, err
		}},
	}
	ended := make(chan struct{})
	go func() { defer close(ended); s.ServeTLS(l, "", "") }()
	t.Cleanup(func() { s.Close(); <-ended })
}

func sum(data []byte) string { return fmt.Sprintf("%x", sha256.Sum256(data)) }

// issuer is an authority for the certificates of servers.
type issuer struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newIssuer(t *testing.T, name string) *issuer {
	t.Helper()
	i := &issuer{t: t}
	i.cert, i.key = i.sign(&x509.Certificate{Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true})
	return i
}

func (i *issuer) sign(c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	i.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		i.t.Fatal(err)
	}
	c.SerialNumber, c.NotBefore = big.NewInt(time.Now().UnixNano()), c.NotAfter.Add(-48*time.Hour)
	parent, signer := i.cert, i.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		i.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		i.t.Fatal(err)
	}
	return cert, key
}

// issue returns a key with its certificate and that of the authority in PEM, and the key as
// TLSA records have it.
func (i *issuer) issue(name string, until time.Time) (file, spki []byte) {
	i.t.Helper()
	cert, key := i.sign(&x509.Certificate{Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotAfter: until, KeyUsage: x509.KeyUsageDigitalSignature})
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		i.t.Fatal(err)
	}
	for _, b := range []pem.Block{{Type: "PRIVATE KEY", Bytes: raw}, {Type: "CERTIFICATE", Bytes: cert.Raw}, {Type: "CERTIFICATE", Bytes: i.cert.Raw}} {
		file = append(file, pem.EncodeToMemory(&b)...)
	}
	return file, cert.RawSubjectPublicKeyInfo
}

// file is the certificate of the authority.
func (i *issuer) file(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.cert.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
