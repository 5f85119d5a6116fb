package test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/smimerelay/smimerelay/internal/testing/acmetest"
	"github.com/smimerelay/smimerelay/internal/testing/dnstest"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
	"github.com/smimerelay/smimerelay/test/rig"
)

// orders are the tables of those who get certificates by ACME.
const orders = `
[dns]
resolvers = ["RESOLVER"]

[[enrolment]]
name = "public"
from = "acme"
url = "URL"
ca = "TRUST"
addresses = ["` + norah + `"]

[[rule]]
name = "issue"
recipient = ["issue.example"]
sign = "require"
encrypt = "never"
issue = true
`

// challenger is an ACME server whose messages a test sends, signed by DKIM.
type challenger struct {
	*acmetest.Server
	key   ed25519.PrivateKey
	mails chan acmetest.Message
}

// TestChallenges: a CA's message comes in through the MTA, is answered through it and not
// delivered, and the next mail is signed with what the CA issued. After a renewal the new
// certificate signs, and what was encrypted to the old one is still read.
func TestChallenges(t *testing.T) {
	for name, open := range deployments {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			public, key, err := ed25519.GenerateKey(nil)
			if err != nil {
				t.Fatal(err)
			}
			record := fmt.Sprintf(`s._domainkey IN TXT "v=DKIM1; k=ed25519; p=%s"`, base64.StdEncoding.EncodeToString(public))
			resolver := dnstest.Start(t, dnstest.Zone{Name: "ca.example", Records: []string{record}, Unsigned: true}).Careless
			c := &challenger{Server: acmetest.New(t), key: key, mails: make(chan acmetest.Message, 9)}
			c.Mail = func(m acmetest.Message) { c.mails <- m }
			w := newWorld(t)
			w.more = strings.NewReplacer("RESOLVER", resolver, "URL", c.URL, "TRUST", c.TrustFile).Replace(orders)
			d := open(t, w)
			d.name = name
			d.testChallenges(t, c)
		})
	}
}

func (d *deployment) testChallenges(t *testing.T, c *challenger) {
	m := newMail(t, norah, "bob@issue.example")
	m.id = "1." + m.id
	want(t, d.send(t, m), m.to[0], "deferred")
	d.challenged(t, c, 1)
	first := d.certificateOf(t, 2)
	d.opensOf(t, first, 1)

	d.gateway.Run(t, "enrol", "request", norah)
	d.challenged(t, c, 2)
	second := d.certificateOf(t, 3)
	if second.Equal(first) || c.Issued() != 2 {
		t.Errorf("not renewed: %d were issued", c.Issued())
	}
	for i, cert := range []*x509.Certificate{first, second} {
		d.opensOf(t, cert, 2+i)
	}
}

// challenged sends the message of the CA in, and waits for the answer and the certificate.
func (d *deployment) challenged(t *testing.T, c *challenger, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
	defer cancel()
	var m acmetest.Message
	select {
	case m = <-c.mails:
	case <-ctx.Done():
		t.Fatalf("the CA sent no message:\n%s", d.gateway.Log())
	}
	var signed bytes.Buffer
	if err := dkim.Sign(&signed, bytes.NewReader(m.Bytes()), &dkim.SignOptions{Domain: "ca.example", Selector: "s", Signer: c.key,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed}); err != nil {
		t.Fatal(err)
	}
	want(t, d.receive(t, mail{id: m.Token + "@ca.example", from: "bounces@ca.example", to: []string{norah}, verbatim: signed.Bytes()}), norah, "accepted")
	answer := d.sink.Wait(t, "the answer to the CA", func(got rig.Delivery) bool {
		return contains(got.To, m.From) && bytes.Contains(got.Data, []byte("Subject: Re: ACME: "+m.Token))
	})
	if answer.From != "" {
		t.Errorf("the answer is from <%s>", answer.From)
	}
	if err := c.Reply(answer.Data); err != nil {
		t.Fatal(err)
	}
	d.gateway.WaitLog(t, `msg="identity issued"`, n)
	for _, got := range d.sink.All() {
		if contains(got.To, norah) && bytes.Contains(got.Data, []byte(m.Token)) {
			t.Errorf("the user got the message of the CA:\n%s", got.Data)
		}
	}
}

// certificateOf sends mail from norah, and returns the certificate that came with its signature.
func (d *deployment) certificateOf(t *testing.T, n int) *x509.Certificate {
	t.Helper()
	m := newMail(t, norah, "bob@issue.example")
	m.id = fmt.Sprintf("%d.%s", n, m.id)
	want(t, d.send(t, m), m.to[0], "accepted")
	got := d.arrived(t, m, m.to[0])
	parsed, err := message.Parse(got.Data)
	if err != nil || len(parsed.Root().Children) != 2 {
		t.Fatalf("not multipart/signed: %v\n%s", err, got.Data)
	}
	list, _, err := cms.ParseBundle(testpki.Must(parsed.Root().Children[1].Decode()))
	i := slices.IndexFunc(list, func(c *x509.Certificate) bool { return slices.Contains(c.EmailAddresses, norah) })
	if err != nil || i < 0 || list[i].Issuer.CommonName != "ACME CA" {
		t.Fatalf("%v, %d certificates", err, len(list))
	}
	return list[i]
}

// opensOf wants mail that a partner encrypts to a certificate to arrive in the clear.
func (d *deployment) opensOf(t *testing.T, cert *x509.Certificate, n int) {
	t.Helper()
	file := fmt.Sprintf("to-%d.pem", n)
	d.store(t, file, testpki.EncodeCertificates(cert))
	cmd := exec.CommandContext(t.Context(), "openssl", "cms", "-encrypt", "-binary", "-outform", "DER", "-aes256",
		"-recip", filepath.Join(d.dir, file), "-keyopt", "ecdh_kdf_md:sha256")
	cmd.Stdin = strings.NewReader(inboundText)
	der, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	m := newMail(t, partner, norah)
	m.id = fmt.Sprintf("encrypted.%d.%s", n, m.id)
	m.entity = "Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
		regexp.MustCompile(".{76}").ReplaceAllString(base64.StdEncoding.EncodeToString(der), "$0\r\n") + "\r\n"
	want(t, d.receive(t, m), norah, "accepted")
	if got := d.arrived(t, m, norah); !bytes.Contains(got.Data, []byte("hello from outside")) {
		t.Errorf("not decrypted:\n%s", got.Data)
	}
}
