package smime

import (
	"context"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// world is an authority with identities.
type world struct {
	ca         *testpki.CA
	alice, bob *certs.Identity // alice has an RSA key, bob a P-256 key
	now        time.Time
}

func newWorld(t testing.TB) *world {
	t.Helper()
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	w := &world{ca: ca, now: time.Now().Truncate(time.Second)}
	w.alice = w.issue("alice@example.org", "rsa2048")
	w.bob = w.issue("bob@example.org", "p256")
	return w
}

func (w *world) issue(addr, key string) *certs.Identity {
	return (*certs.Identity)(testpki.Must(w.ca.Issue(testpki.Leaf{Addresses: []string{addr}, Key: key})))
}

// checker trusts the world's authority, and judges the address.
type checker struct{ roots *x509.CertPool }

func (w *world) checker() certs.Checker {
	roots := x509.NewCertPool()
	roots.AddCert(w.ca.Root)
	return checker{roots}
}

func (c checker) Check(_ context.Context, cert *x509.Certificate, r certs.Request) certs.Verdict {
	v := certs.Verdict{Result: certs.Pass, ChainState: "trusted", Revocation: "unchecked"}
	if _, err := cert.Verify(x509.VerifyOptions{Roots: c.roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}}); err != nil {
		return certs.Verdict{Result: certs.Fail, Reason: certs.Untrusted, ChainState: "untrusted", Revocation: "unchecked"}
	}
	if len(r.Addresses) == 0 {
		return v
	}
	for _, a := range certs.Addresses(cert) {
		if a.Equal(r.Addresses[0], address.IgnoreCase) {
			return v
		}
	}
	v.Result, v.Reason = certs.Fail, certs.WrongAddress
	return v
}

func (w *world) options(ids ...*certs.Identity) OpenOptions {
	return OpenOptions{Checker: w.checker(), Keys: certs.NewKeys(nil, ids...)}
}

func (w *world) sign(t testing.TB, m *message.Message, id *certs.Identity, o SignOptions) *message.Message {
	t.Helper()
	o.Time = w.now
	signed, err := Sign(m, id, o)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func encrypt(t testing.TB, m *message.Message, o EncryptOptions, ids ...*certs.Identity) *message.Message {
	t.Helper()
	var to []*x509.Certificate
	for _, id := range ids {
		to = append(to, id.Certificate)
	}
	encrypted, err := Encrypt(m, to, o)
	if err != nil {
		t.Fatal(err)
	}
	return encrypted
}

func (w *world) open(m *message.Message, ids ...*certs.Identity) *Opened {
	return Open(context.Background(), m, w.options(ids...))
}

func parse(t testing.TB, raw string) *message.Message {
	t.Helper()
	m, err := message.Parse([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// mail writes a message from alice with CRLF line ends.
func mail(t testing.TB, rest string) *message.Message {
	t.Helper()
	return parse(t, strings.ReplaceAll("From: Alice <alice@example.org>\nTo: bob@example.org\nSubject: hello\nDate: Thu, 1 Jan 2026 09:00:00 +0000\n"+rest, "\n", "\r\n"))
}

// samples are messages of all sorts, by what is special about them.
var samples = map[string]string{
	"plain":                    "Content-Type: text/plain; charset=us-ascii\n\nhello\n",
	"no Content-Type":          "\nhello\n",
	"no Content-Type, 8-bit":   "\nhällo\n",
	"no Content-Type, Latin-1": "\nh\xe4llo\n",
	"empty body":               "Content-Type: text/plain\n\n",
	"no body":                  "Content-Type: text/plain\n",
	"no final line end":        "\nhello",
	"8-bit":                    "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\ngrüße\n",
	"long lines":               "Content-Type: text/plain\n\n" + strings.Repeat("x", 5000) + "\n" + strings.Repeat("word ", 1000) + "\n",
	"From":                     "\nFrom here\nfrom there\n From\nFrom \n",
	"From after 70":            "\n" + strings.Repeat("x", 75) + "From a\n" + strings.Repeat("y", 74) + "From b\n",
	"blanks":                   "\ntrailing \ntab\t\n \n\t\nend ",
	"dots":                     "\n.\n..\n.x\n",
	"equals":                   "\na=3Db =\n",
	"format=flowed":            "Content-Type: text/plain; charset=us-ascii; format=flowed; delsp=yes\n\nflowed \ntext\n-- \nsig\n",
	"utf-16":                   "Content-Type: text/plain; charset=utf-16le\nContent-Transfer-Encoding: base64\n\naABlAGwAbABvAA==\n",
	"utf-16 raw":               "Content-Type: text/plain; charset=utf-16le\nContent-Transfer-Encoding: 8bit\n\nh\xc3\xb6\n",
	"controls":                 "\na\x00b\x01\x7f\f\n",
	"quoted-printable":         "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\ngr=C3=BC=C3=9Fe =\nund mehr\n",
	"quoted-printable, long":   "Content-Transfer-Encoding: quoted-printable\nContent-Type: text/plain\n\n" + strings.Repeat("=20", 300) + "\nFrom =41\n",
	"base64, one line":         "Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n" + strings.Repeat("QUJD", 500) + "\n",
	"multipart": "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"b\"\nContent-Transfer-Encoding: 8bit\n\npreamble\n" +
		"--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\ngrüße \n" +
		"--b\nContent-Type: multipart/alternative; boundary=c\nContent-Transfer-Encoding: 8bit\n\n--c\n\nFrom x\n--c\nContent-Type: text/html\n\n<p>" + strings.Repeat("y", 1200) + "\n--c--\n" +
		"--b\nContent-Type: image/png; name=i.png\nContent-Transfer-Encoding: binary\nContent-Disposition: inline\nContent-ID: <i@x>\n\n\x89PNG\x01\x02\n--b--\nepilogue\n",
	"message":        "Content-Type: message/rfc822\n\nFrom: x@example.net\nSubject: inner\n\ninner text\n",
	"message, 8-bit": "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\nFrom: x@example.net\n\ninnerer Täxt\n--b--\n",
}

// unsafeSamples cannot be signed clear without breaking something.
var unsafeSamples = map[string]string{
	"message with DKIM":         "Content-Type: message/rfc822\n\nDKIM-Signature: v=1\nFrom: x@example.net\n\ninnerer Täxt\n",
	"message with 8-bit header": "Content-Type: message/rfc822\n\nFrom: x@example.net\nSubject: größer\n\nText\n",
	"8-bit part header":         "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Disposition: attachment; filename=\"ä.txt\"\n\nText\n--b--\n",
	"8-bit preamble":            "Content-Type: multipart/mixed; boundary=b\n\npräambel\n--b\n\nText\n--b--\n",
	"8-bit inside signed":       "Content-Type: multipart/signed; boundary=b; protocol=\"application/pgp-signature\"\n\n--b\n\nTäxt\n--b\nContent-Type: application/pgp-signature\n\nx\n--b--\n",
	"delivery status":           "Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; x \n--b--\n",
	"bad base64":                "Content-Type: image/png\nContent-Transfer-Encoding: base64\n\n!!!!" + strings.Repeat("A", 80) + "\n",
	"unknown encoding":          "Content-Type: text/plain\nContent-Transfer-Encoding: x-uu\n\nbegin " + strings.Repeat("x", 1000) + "\n",
	"encoded multipart":         "Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64\n\n" + strings.Repeat("A", 1000) + "\n",
}

func kindOf(err error) string {
	if err == nil {
		return ""
	}
	return fault.Of(err).Kind.String()
}

// sealTo returns m with content, as it is, encrypted.
func sealTo(t testing.TB, m *message.Message, content []byte, to *x509.Certificate) *message.Message {
	t.Helper()
	object, err := cms.Encrypt(cms.EncryptRequest{Content: [][]byte{content}, Recipients: []*x509.Certificate{to}})
	if err != nil {
		t.Fatal(err)
	}
	secret, err := wrap(m, HeadersOpen, "enveloped-data", object)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// signedTravels reports whether a signed body passes relays.
func signedTravels(body []byte) bool {
	s := message.ScanLines(body)
	return s.ASCII && s.CRLF && s.Longest <= maxFieldLine
}

// signedContent returns the part that is signed, whatever the form.
func signedContent(t testing.TB, m *message.Message) *message.Part {
	t.Helper()
	if p := m.Root(); p.MediaType == typeSigned {
		return p.Children[0]
	}
	object, err := m.Root().Decode()
	if err != nil {
		t.Fatal(err)
	}
	data, err := cms.ParseSignedData(object)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(data.Content.Bytes())).Root()
}

// wrap makes a CMS object the body of m.
func wrap(m *message.Message, p HeaderProtection, smimeType string, object *cms.Object) (*message.Message, error) {
	return m.Apply(outerChange(m, p, objectEntity(smimeType, object)))
}
