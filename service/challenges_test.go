package service

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/smtp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/acmetest"
	"github.com/smimerelay/smimerelay/internal/testing/dnstest"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/message"
)

const challengeConfig = `
[dns]
resolvers = ["%RESOLVER%"]
[[listener]]
name = "in"
protocol = "smtp"
address = "127.0.0.1:0"
direction = "inbound"
[[enrolment]]
name = "public"
from = "acme"
url = "%URL%"
ca = "%TRUST%"
addresses = ["example.org"]
[[rule]]
name = "issue"
recipient = ["issue.example"]
sign = "require"
encrypt = "never"
issue = true
`

// authority is an ACME server whose messages a test sends, signed as the DNS says.
type authority struct {
	*acmetest.Server
	key      ed25519.PrivateKey
	resolver string

	mu    sync.Mutex
	mails []acmetest.Message
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	record := fmt.Sprintf(`s._domainkey IN TXT "v=DKIM1; k=ed25519; p=%s"`, base64.StdEncoding.EncodeToString(public))
	a := &authority{Server: acmetest.New(t), key: key, resolver: dnstest.Start(t, dnstest.Zone{Name: "ca.example", Records: []string{record}, Unsigned: true}).Careless}
	a.Mail = func(m acmetest.Message) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.mails = append(a.mails, m)
	}
	return a
}

// last is the message that was sent last.
func (a *authority) last(t *testing.T) acmetest.Message {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.mails) == 0 {
		t.Fatal("the CA sent no message")
	}
	return a.mails[len(a.mails)-1]
}

func (a *authority) sign(t *testing.T, raw []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := dkim.Sign(&out, bytes.NewReader(raw), &dkim.SignOptions{Domain: "ca.example", Selector: "s", Signer: a.key,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// config is that of a service which orders from the authority; more is in the table.
func (a *authority) config(more string) string {
	before, after, _ := strings.Cut(storedConfig, "[[rule]]")
	own := strings.NewReplacer("%RESOLVER%", a.resolver, "%URL%", a.URL, "%TRUST%", a.TrustFile, "addresses = [\"example.org\"]\n", "addresses = [\"example.org\"]\n"+more).Replace(challengeConfig)
	return before + own + "[[rule]]" + after
}

// deliver sends raw mail from outside.
func (w *world) deliver(raw []byte, to string) {
	w.t.Helper()
	c, err := smtp.Dial(w.address("in"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	for _, err := range []error{c.Hello("ca.example"), c.Mail("bounces@ca.example"), c.Rcpt(to)} {
		if err != nil {
			w.t.Fatal(err)
		}
	}
	d, err := c.Data()
	if err != nil {
		w.t.Fatal(err)
	}
	_, _ = d.Write(raw)
	if err := d.Close(); err != nil {
		w.t.Errorf("%s: %v", to, err)
	}
}

// order has a certificate ordered for an address by mail from it.
func (w *world) order(a *authority, from string) acmetest.Message {
	w.t.Helper()
	n := a.Requests("new-order")
	if err := w.sendFrom(from); replyCode(err) != 451 {
		w.t.Fatalf("without a certificate: %v", err)
	}
	if a.Requests("new-order") != n+1 {
		w.t.Fatalf("%d orders", a.Requests("new-order"))
	}
	return a.last(w.t)
}

// TestCertificateByMail: the authority's message comes in, is answered and not delivered, and
// the next mail is signed with what it issued. A gateway that is started again in between has
// forgotten nothing.
func TestCertificateByMail(t *testing.T) {
	a := newAuthority(t)
	w := startWorld(t, a.config(""))
	const user = "new@example.org"
	m := w.order(a, user)
	w.deliver(a.sign(t, m.Bytes()), user)
	w.stop()
	w.run()
	w.log.waitCount(t, "msg=serving", 2)
	got := w.hop.wait(t, 1)
	reply := "Re: ACME: " + m.Token
	if got[reply] != 1 || len(got) != 1 {
		t.Fatalf("arrived: %v", got)
	}
	if err := a.Reply(w.hop.raw(reply)); err != nil {
		t.Fatal(err)
	}
	w.advance(time.Minute)
	w.log.wait(t, "msg=\"identity issued\"")
	if err := w.sendFrom(user); err != nil {
		t.Fatal(err)
	}
	w.hop.wait(t, 2)
	if id := signing(t, w.open(w.storeFile()), user); id == nil || id.Certificate.Issuer.CommonName != "ACME CA" || a.Issued() != 1 {
		t.Errorf("%v, %d issued", id, a.Issued())
	}
	w.deliver(a.sign(t, m.Bytes()), user)
	if got := w.hop.wait(t, 3); got["ACME: "+m.Token] != 1 || got[reply] != 1 || a.Replies() != 1 {
		t.Errorf("a replay: %v", got)
	}
}

// TestChallengesDelivered: forged ones arrive as any mail does and are not answered; the right
// one is delivered too where the table says so.
func TestChallengesDelivered(t *testing.T) {
	a := newAuthority(t)
	w := startWorld(t, a.config("deliver_challenges = true\nauthserv_id = [\"mx.example.org\"]\n"))
	const user = "new@example.org"
	m := w.order(a, user)
	good := a.sign(t, m.Bytes())
	forged := [][]byte{
		m.Bytes("Subject: ACME: " + m.Token + "1"),
		bytes.Replace(a.sign(t, m.Bytes("Subject: ACME: "+m.Token+"2")), []byte("for a"), []byte("for no"), 1),
		a.sign(t, m.Bytes("Subject: ACME: "+m.Token+"3", "From: other@ca.example")),
		a.sign(t, m.Bytes("Subject: ACME: "+m.Token+"4", "To: other@example.org")),
		append([]byte("Authentication-Results: mx.example.net; dkim=pass header.d=ca.example\r\n"), m.Bytes("Subject: ACME: "+m.Token+"5")...),
	}
	for _, raw := range forged {
		w.deliver(raw, user)
	}
	w.hop.wait(t, len(forged))
	w.log.waitCount(t, "outcome=\"not answered\"", len(forged))
	w.deliver(good, user)
	got := w.hop.wait(t, len(forged)+2)
	if got["ACME: "+m.Token] != 1 || got["Re: ACME: "+m.Token] != 1 {
		t.Errorf("%v", got)
	}
	for subject := range got {
		if strings.HasPrefix(subject, "Re:") && subject != "Re: ACME: "+m.Token {
			t.Errorf("answered: %s", subject)
		}
	}
}

// TestChallengeSigned: an authority that signs its message with S/MIME needs no DKIM; who is
// not trusted, or signs without the header, is not answered.
func TestChallengeSigned(t *testing.T) {
	a := newAuthority(t)
	w := startWorld(t, a.config(""))
	const user = "new@example.org"
	m := w.order(a, user)
	signed := func(ca *testpki.CA, from string, o smime.SignOptions, edits ...string) []byte {
		id := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{from}}))
		return testpki.Must(smime.Sign(testpki.Must(message.Parse(m.Bytes(edits...))), (*certs.Identity)(id), o)).Bytes()
	}
	protects := smime.SignOptions{Time: time.Now(), Headers: smime.HeadersClear}
	stranger := testpki.Must(testpki.NewCA(testpki.Options{Name: "Stranger"}))
	w.deliver(signed(stranger, m.From, protects, "Subject: ACME: "+m.Token+"1"), user)
	w.deliver(signed(w.ca, "other@ca.example", protects, "Subject: ACME: "+m.Token+"2"), user)
	w.deliver(signed(w.ca, m.From, smime.SignOptions{Time: time.Now()}, "Subject: ACME: "+m.Token+"3"), user)
	changed := bytes.Replace(signed(w.ca, m.From, protects), []byte("Subject: ACME: "+m.Token), []byte("Subject: ACME: "+m.Token+"4"), 1)
	w.deliver(changed, user)
	w.hop.wait(t, 4)
	w.log.waitCount(t, "outcome=\"not answered\"", 4)
	w.deliver(signed(w.ca, m.From, protects), user)
	got := w.hop.wait(t, 5)
	if got["Re: ACME: "+m.Token] != 1 || len(got) != 5 {
		t.Errorf("%v", got)
	}
	if err := a.Reply(w.hop.raw("Re: ACME: " + m.Token)); err != nil {
		t.Error(err)
	}
}
