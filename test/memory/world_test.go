package memory

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/loopback"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/message"
	"github.com/smimerelay/smimerelay/test/rig"
)

const (
	alice = "alice@corp.example" // of our own domain, with an identity
	bob   = "bob@far.example"    // a partner
)

// The recipients' domains say what is done for them.
const rules = `
[[rule]]
name = "sign"
recipient = ["sign.example"]
sign = "require"
encrypt = "never"

[[rule]]
name = "encrypt"
recipient = ["encrypt.example"]
sign = "never"
encrypt = "require"
mixed = "allow"

[[rule]]
name = "both"
recipient = ["both.example"]
sign = "require"
encrypt = "require"
mixed = "allow"

[[rule]]
name = "default"
sign = "never"
encrypt = "never"
`

// world is the certificates and the configuration of every gateway here.
type world struct {
	dir        string
	alice, bob *testpki.Identity
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ca := testpki.Must(testpki.NewCA(testpki.Options{Name: "Root"}))
	w := &world{
		dir:   t.TempDir(),
		alice: testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{alice}, Key: "rsa2048"})),
		bob:   testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{bob}, Key: "rsa2048"})),
	}
	w.store(t, "root.pem", testpki.EncodeCertificates(ca.Root))
	w.store(t, "identities/alice.pem", testpki.Must(w.alice.PEM()))
	for _, domain := range []string{"encrypt.example", "both.example"} {
		reader := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"reader@" + domain}, Key: "rsa2048"}))
		w.store(t, "certificates/"+domain+".pem", testpki.EncodeCertificates(reader.Certificate))
	}
	return w
}

func (w *world) store(t *testing.T, name string, content []byte) {
	t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// gateway is a running one, and where clients reach it by each protocol.
type gateway struct {
	*rig.Gateway
	milter, lmtp, smtp string
}

// start starts a gateway with further limits.
func (w *world) start(t *testing.T, limits string) *gateway {
	t.Helper()
	ports := []int{loopback.FreePort(t), loopback.FreePort(t), loopback.FreePort(t)}
	place := t.TempDir()
	var listeners strings.Builder
	g := &gateway{}
	for i, protocol := range []string{"milter", "lmtp", "smtp"} {
		fmt.Fprintf(&listeners, "[[listener]]\nname = %q\nprotocol = %q\naddress = \"127.0.0.1:%d\"\nnetworks = [\"127.0.0.1/32\"]\n", protocol, protocol, ports[i])
	}
	g.milter, g.lmtp, g.smtp = local(ports[0]), local(ports[1]), local(ports[2])
	g.Gateway = rig.StartGateway(t, program, fmt.Sprintf(`hostname = "gw.test"
domains = ["corp.example"]
postmaster = "postmaster@corp.example"
[limits]
%s
[queue]
path = "%[2]s/queue.db"
[store]
url = "%[2]s/store.db"
key_file = "%[2]s/store.key"
[identities]
path = "%[3]s/identities"
[trust]
anchors = ["%[3]s/root.pem"]
revocation = "off"
fetch = false
[inbound]
revocation = "off"
[next_hop]
address = "%[4]s"
[[directory]]
name = "files"
type = "files"
path = "%[3]s/certificates"
%[5]s
%[6]s`, limits, place, w.dir, startSink(t), listeners.String(), rules), ports...)
	return g
}

func local(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// text returns a message from one address to another with an attachment, of about size
// octets.
func text(from, to string, size int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: <%s>\r\nTo: <%s>\r\nSubject: large\r\nDate: %s\r\nMessage-ID: <large@client.test>\r\nMIME-Version: 1.0\r\n"+
		"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nSee the attachment.\r\n--b\r\n"+
		"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=a.bin\r\n\r\n",
		from, to, time.Now().Format(time.RFC1123Z))
	data := make([]byte, size/78*57)
	_, _ = rand.Read(data)
	b.Write(testpki.Base64(data))
	b.WriteString("--b--\r\n")
	return b.Bytes()
}

// signed is a message that bob has signed.
func (w *world) signed(to string, size int) []byte {
	return w.sign(to, size, smime.SignOptions{Time: time.Now()}).Bytes()
}

func (w *world) sign(to string, size int, o smime.SignOptions) *message.Message {
	m := testpki.Must(message.Parse(text(bob, to, size)))
	return testpki.Must(smime.Sign(m, (*certs.Identity)(w.bob), o))
}

// encrypted is a message of bob's that only alice can read.
func (w *world) encrypted(to string, size int) []byte {
	m := testpki.Must(message.Parse(text(bob, to, size*57/78)))
	return w.encrypt(m)
}

// sealed is a message that bob has signed and encrypted.
func (w *world) sealed(to string, size int) []byte {
	return w.encrypt(w.sign(to, size*57/78, smime.SignOptions{Time: time.Now()}))
}

func (w *world) encrypt(m *message.Message) []byte {
	return testpki.Must(smime.Encrypt(m, []*x509.Certificate{w.alice.Certificate}, smime.EncryptOptions{})).Bytes()
}
