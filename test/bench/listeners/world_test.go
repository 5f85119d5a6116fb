package listeners

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/message"
)

// The addresses of the bench. The domain of a recipient says what the gateway does.
const (
	senderRSA, senderEC   = "rsa@corp.example", "p256@corp.example"
	partnerRSA, partnerEC = "rsa@partner.example", "p256@partner.example"
)

// world is a folder with keys, certificates, and messages as smtp-source reads them.
type world struct {
	dir     string
	ids     map[string]*testpki.Identity
	storeCA *testpki.CA // of the certificates in the store
}

func newWorld(tb testing.TB) *world {
	w := &world{dir: tb.TempDir(), ids: map[string]*testpki.Identity{}}
	// Postfix has a user of its own, and testing makes folders for one only.
	if err := os.Chmod(filepath.Dir(w.dir), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.Chmod(w.dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	root := testpki.Must(testpki.NewCA(testpki.Options{Name: "Bench root", Key: "rsa2048"}))
	ca := testpki.Must(root.Intermediate(testpki.Options{Name: "Bench", Key: "rsa2048"}))
	w.storeCA = testpki.Must(testpki.NewCA(testpki.Options{Name: "Bench store"}))
	w.write(tb, "root.pem", testpki.EncodeCertificates(root.Root, w.storeCA.Root))
	w.write(tb, "intermediate.pem", testpki.EncodeCertificates(ca.Chain...))
	for addr, key := range map[string]string{senderRSA: "rsa2048", senderEC: "p256", partnerRSA: "rsa2048", partnerEC: "p256"} {
		w.ids[addr] = testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{addr}, Key: key}))
		folder := "others"
		if strings.HasSuffix(addr, "@corp.example") {
			folder = "identities"
		}
		w.write(tb, folder+"/"+addr+".pem", testpki.Must(w.ids[addr].PEM()))
	}
	for _, domain := range []string{"encrypt.example", "both.example"} {
		to := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"bob@" + domain}, Key: "rsa2048"}))
		w.ids["bob@"+domain] = to
		w.write(tb, "certificates/"+domain+".pem", testpki.EncodeCertificates(to.Certificate))
	}
	w.manyRecipients(tb)
	return w
}

// manyRecipients makes certificates for the recipients that smtp-source numbers,
// "1x@many.example" and on, all with one key.
func (w *world) manyRecipients(tb testing.TB) {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	var all []*x509.Certificate
	for i := range 1000 {
		id := testpki.Must(w.storeCA.Issue(testpki.Leaf{Addresses: []string{fmt.Sprintf("%dx@many.example", i)}, PrivateKey: key}))
		all = append(all, id.Certificate)
	}
	all = append(all, testpki.Must(w.storeCA.Issue(testpki.Leaf{Addresses: []string{"x@many.example", "1000x@many.example"}, PrivateKey: key})).Certificate)
	w.write(tb, "certificates/many.pem", testpki.EncodeCertificates(all...))
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) write(tb testing.TB, name string, content []byte) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(w.path(name)), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(w.path(name), content, 0o600); err != nil {
		tb.Fatal(err)
	}
}

// mail is what a job is done on: the file that holds it, from whom to whom, and whether
// it comes in from outside.
type mail struct {
	file, from, to string
	recipients     int // smtp-source numbers them; one where it is 0
	inbound        bool
}

// identity is the file with the key that a job uses.
func (w *world) identity(name string) string {
	switch {
	case strings.HasPrefix(name, "verify-rsa"):
		return w.path("others/" + partnerRSA + ".pem")
	case name == "verify-p256":
		return w.path("others/" + partnerEC + ".pem")
	case strings.HasSuffix(name, "p256"):
		return w.path("identities/" + senderEC + ".pem")
	}
	return w.path("identities/" + senderRSA + ".pem")
}

// mail makes the message of a job with a body of size octets.
func (w *world) mail(tb testing.TB, name string, size int) mail {
	m := mail{file: w.path(fmt.Sprintf("message-%s-%d", name, size))}
	signed := func(by string) []byte {
		return must(smime.Sign(must(message.Parse(plain(by, senderRSA, size))), (*certs.Identity)(w.ids[by]), smime.SignOptions{Time: time.Now()})).Bytes()
	}
	var content []byte
	switch name {
	case "verify-rsa":
		m.from, m.to, m.inbound = partnerRSA, senderRSA, true
		content = signed(partnerRSA)
	case "verify-p256":
		m.from, m.to, m.inbound = partnerEC, senderRSA, true
		content = signed(partnerEC)
	case "decrypt":
		m.from, m.to, m.inbound = partnerRSA, senderRSA, true
		to := []*x509.Certificate{w.ids[senderRSA].Certificate}
		content = must(smime.Encrypt(must(message.Parse(plain(m.from, m.to, size))), to, smime.EncryptOptions{})).Bytes()
	default:
		domains := map[string]string{"pass": "pass.example", "sign-rsa": "sign.example", "sign-p256": "sign.example", "encrypt": "encrypt.example", "sign-encrypt": "both.example"}
		m.from, m.to = senderRSA, "bob@"+domains[name]
		if name == "sign-p256" {
			m.from = senderEC
		}
		content = plain(m.from, m.to, size)
	}
	// smtp-source ends each line with CRLF itself.
	w.write(tb, filepath.Base(m.file), bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n")))
	return m
}

// plain returns a message with a text of size octets.
func plain(from, to string, size int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: <%s>\r\nTo: <%s>\r\nSubject: Minutes of the meeting\r\nDate: %s\r\nMessage-ID: <bench@corp.example>\r\n"+
		"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\n", from, to, time.Now().Format(time.RFC1123Z))
	line := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0xa5, 0x5a, 0x11}, 17)) + "\r\n"
	b.WriteString(strings.Repeat(line, size/len(line)+1))
	return b.Bytes()
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// config is the gateway's: listeners of all three kinds, and a rule for each job.
func (w *world) config(p places) string {
	return fmt.Sprintf(`hostname = "gw.bench.example"
domains = ["corp.example"]

[limits]
connections_per_address = 0
message_size = "150MB"
message_memory = "2GB"

[identities]
path = %q

[trust]
anchors = [%q]
intermediates = [%q]
revocation = "off"

[next_hop]
address = %q
tls = "off"

[queue]
path = %q
workers = 20
retry = ["4h"]
max_size = 1000000

[store]
url = %q
key_file = %q

[[directory]]
name = "files"
type = "files"
path = %q

[[listener]]
name = "milter-outbound"
protocol = "milter"
address = %q
socket_mode = "0666"
direction = "outbound"
networks = ["127.0.0.0/8"]

[[listener]]
name = "milter-inbound"
protocol = "milter"
address = %q
socket_mode = "0666"
direction = "inbound"

[[listener]]
name = "filter"
protocol = "lmtp"
address = %q
socket_mode = "0666"
direction = "outbound"

[[listener]]
name = "relay"
protocol = "smtp"
address = %q
direction = "outbound"
networks = ["127.0.0.0/8"]

[[rule]]
name = "pass"
recipient = ["pass.example"]
sign = "never"
encrypt = "never"

[[rule]]
name = "sign"
recipient = ["sign.example"]
sign = "require"
encrypt = "never"

[[rule]]
name = "encrypt"
recipient = ["encrypt.example", "many.example", "store.example"]
sign = "never"
encrypt = "require"

[[rule]]
name = "default"
sign = "require"
encrypt = "require"
`, w.path("identities"), w.path("root.pem"), w.path("intermediate.pem"), p.counter, w.path("queue.db"), w.path("store.db"), w.path("store.key"), w.path("certificates"),
		p.milterOut, p.milterIn, p.filter, p.relay)
}
