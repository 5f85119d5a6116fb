package enrolment

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/loopback"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
	"github.com/smimerelay/smimerelay/test/rig"
)

// house is a gateway as a relay, with the next hop behind it.
type house struct {
	*rig.Gateway
	sink *rig.Sink
	addr string       // where it takes mail
	dir  string       // of files of its own
	mail atomic.Int64 // how much was sent
}

// basics is the configuration of every house.
const basics = `hostname = "gw.test"
domains = ["DOMAIN"]
postmaster = "postmaster@DOMAIN"

[log]
level = "debug"

[queue]
path = "DIR/queue.db"
retry = ["1s", "2s"]

[store]
url = "DIR/store.db"
key_file = "DIR/store.key"

[trust]
anchors = ["DIR/root.pem"]
revocation = "off"
fetch = false

RELAY
TABLES

[[rule]]
name = "default"
sign = "never"
encrypt = "never"
`

// issuing is the rule by which users get certificates.
const issuing = `
[[rule]]
name = "issue"
recipient = ["partner.example"]
sign = "require"
encrypt = "never"
issue = true
`

// open starts a gateway of corp.example, with tables of the test. ports are those that are open as soon as it
// serves, beside that for mail.
func open(t *testing.T, tables string, ports ...int) *house {
	t.Helper()
	root := testpki.Must(testpki.NewCA(testpki.Options{}))
	return openIn(t, "corp.example", testpki.EncodeCertificates(root.Certificate), tables, ports...)
}

// openIn is open for another domain, with trust anchors in PEM.
func openIn(t *testing.T, domain string, anchors []byte, tables string, ports ...int) *house {
	t.Helper()
	h := &house{sink: rig.StartSink(t), dir: t.TempDir()}
	port := loopback.FreePort(t)
	h.addr = fmt.Sprintf("127.0.0.1:%d", port)
	_, next, _ := strings.Cut(h.sink.Addr(), ":")
	relay := strings.NewReplacer("127.0.0.1:2525", h.addr, "10028", next).Replace(rig.Recipe(t, "toml relay", rig.Ports{"2525": 2525, "10028": 10028}))
	h.write(t, "root.pem", anchors)
	text := strings.NewReplacer("DOMAIN", domain, "RELAY", relay, "TABLES", tables, "DIR", h.dir).Replace(basics)
	h.Gateway = rig.StartGateway(t, program, text, append(ports, port)...)
	return h
}

// restart kills the gateway and starts it: it goes on with all orders that are due at once.
func (h *house) restart(t *testing.T) {
	t.Helper()
	h.Kill(t)
	h.Start(t)
}

// write writes a file of the house, by renaming, and returns its path.
func (h *house) write(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(h.dir, name)
	for _, err := range []error{os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path+".new", content, 0o600), os.Rename(path+".new", path)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// text returns a message of the test, and its Message-ID.
func (h *house) text(from, to, entity string) (raw []byte, id string) {
	id = fmt.Sprintf("<%d.%s>", h.mail.Add(1), from)
	return fmt.Appendf(nil, "From: <%s>\r\nTo: <%s>\r\nSubject: a test\r\nMessage-ID: %s\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\nMIME-Version: 1.0\r\n%s",
		from, to, id, entity), id
}

// sends has a user write to a partner, and returns the reply and the Message-ID.
func (h *house) sends(t *testing.T, from string) (rig.Reply, string) {
	t.Helper()
	const to = "bob@partner.example"
	raw, id := h.text(from, to, "\r\nhello\r\n")
	return h.transact(t, rig.Insider, from, to, raw), id
}

// transact hands a message in from an address of the client.
func (h *house) transact(t *testing.T, client, from, to string, raw []byte) rig.Reply {
	t.Helper()
	c := rig.Dial(t, h.addr, client)
	defer c.Close()
	return c.Send(from, []string{to}, raw).Data
}

// delivered waits for a message by its Message-ID.
func (h *house) delivered(t *testing.T, id string) []byte {
	t.Helper()
	return h.sink.Wait(t, id, func(d rig.Delivery) bool { return bytes.Contains(d.Data, []byte("Message-ID: "+id)) }).Data
}

// signer has a user write, and returns the certificate with which the mail is signed.
func (h *house) signer(t *testing.T, from string) *x509.Certificate {
	t.Helper()
	reply, id := h.sends(t, from)
	if !reply.Positive() {
		t.Fatalf("mail of %s: %v\n%s", from, reply, h.Run(t, "enrol", "show", from))
	}
	got := h.delivered(t, id)
	parsed := testpki.Must(message.Parse(got))
	if len(parsed.Root().Children) != 2 {
		t.Fatalf("mail of %s is not multipart/signed:\n%s", from, got)
	}
	list, _, err := cms.ParseBundle(testpki.Must(parsed.Root().Children[1].Decode()))
	i := slices.IndexFunc(list, func(c *x509.Certificate) bool {
		return slices.ContainsFunc(c.EmailAddresses, func(a string) bool { return strings.EqualFold(a, from) })
	})
	if err != nil || i < 0 {
		t.Fatalf("mail of %s: no certificate of its sender among %d, %v", from, len(list), err)
	}
	verified(t, got)
	return list[i]
}

// verified has OpenSSL verify a signature, without its chain.
func verified(t *testing.T, raw []byte) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "openssl", "cms", "-verify", "-noverify", "-out", "/dev/null")
	cmd.Stdin = bytes.NewReader(raw)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("openssl: %v: %s", err, out)
	}
}

// opens wants mail that a partner encrypts to a certificate to arrive in the clear.
func (h *house) opens(t *testing.T, to string, cert *x509.Certificate) {
	t.Helper()
	file := h.write(t, to+".pem", testpki.EncodeCertificates(cert))
	cmd := exec.CommandContext(t.Context(), "openssl", "cms", "-encrypt", "-binary", "-outform", "DER", "-aes256", "-recip", file, "-keyopt", "ecdh_kdf_md:sha256")
	if cert.PublicKeyAlgorithm == x509.RSA {
		cmd.Args = cmd.Args[:len(cmd.Args)-2]
	}
	cmd.Stdin = strings.NewReader("Content-Type: text/plain\r\n\r\nonly for the recipient\r\n")
	der, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	raw, id := h.text("bob@partner.example", to, "Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n"+lines(der))
	if reply := h.transact(t, rig.Stranger, "bob@partner.example", to, raw); !reply.Positive() {
		t.Fatalf("mail to %s: %v", to, reply)
	}
	if got := h.delivered(t, id); !bytes.Contains(got, []byte("only for the recipient")) {
		t.Errorf("what is encrypted to %s (%s) is not decrypted", to, cert.SerialNumber)
	}
}

// lines is base64 in lines.
func lines(der []byte) string {
	return regexp.MustCompile(".{76}").ReplaceAllString(base64.StdEncoding.EncodeToString(der), "$0\r\n") + "\r\n"
}

// tlsFiles are a certificate for localhost, its key, and the authority that clients trust.
type tlsFiles struct{ chain, key, trusted string }

func newTLS(t *testing.T) tlsFiles {
	t.Helper()
	authority := testpki.Must(testpki.NewCA(testpki.Options{}))
	id := testpki.Must(authority.Issue(testpki.Leaf{Name: "localhost", ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		Edit: func(c *x509.Certificate) {
			c.DNSNames, c.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
		}}))
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	der := testpki.Must(x509.MarshalPKCS8PrivateKey(id.Key))
	return tlsFiles{write("chain.pem", testpki.EncodeCertificates(id.Certificate)),
		write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), write("tls.pem", testpki.EncodeCertificates(authority.Certificate))}
}

// provider is a house with a built-in CA that serves EST and SCEP.
type provider struct {
	*house
	tls  tlsFiles
	base string // https://localhost:port
	root *x509.Certificate
}

// openProvider starts a provider, with more tables. ports are those of more listeners.
func openProvider(t *testing.T, more string, ports ...int) *provider {
	t.Helper()
	p := &provider{tls: newTLS(t)}
	port, admin := loopback.FreePort(t), loopback.FreePort(t)
	p.base = fmt.Sprintf("https://localhost:%d", port)
	p.house = open(t, fmt.Sprintf(`
[admin]
address = "127.0.0.1:%d"

[ca]
url = "http://127.0.0.1:%[1]d/ca/"
organization = "Corp"
country = "DE"
max_per_hour = 1000
ocsp = true

[est]
address = "127.0.0.1:%d"
tls_certificate = %q
tls_key = %q
share_key = true
scep_address = "scep-ra@corp.example"
%s`, admin, port, p.tls.chain, p.tls.key, more)+issuing, append(ports, port)...)
	p.Run(t, "ca", "init")
	p.restart(t)
	p.WaitLog(t, `msg="identity issued" address=scep-ra@corp.example`, 1)
	p.root = certificate(t, p.Run(t, "ca", "export"))
	return p
}

// invited returns a secret for an address.
func (p *provider) invited(t *testing.T, addr string) string {
	t.Helper()
	secret, _, _ := strings.Cut(p.Run(t, "enrol", "invite", addr), "\n")
	return secret
}

// certificate reads the first certificate of a text in PEM.
func certificate(t *testing.T, text string) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		t.Fatalf("no PEM in %q", text)
	}
	return testpki.Must(x509.ParseCertificate(block.Bytes))
}

// sum is the SHA-256 of a certificate, as in configurations.
func sum(c *x509.Certificate) string { return fmt.Sprintf("%x", sha256.Sum256(c.Raw)) }
