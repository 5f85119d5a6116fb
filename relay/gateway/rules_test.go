package gateway

import (
	"bytes"
	"context"
	"crypto/x509"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/relay"
)

// rules restarts the gateway with rules of the test's own.
func (w *world) rules(rules ...enforce.Rule) {
	w.t.Helper()
	w.config.Policy = mustCompile(w.t, rules...)
	w.start()
}

func (w *world) hasCertificate(addr string) *certs.Identity {
	w.t.Helper()
	id := w.issue(addr)
	w.dir.results[addr] = directory.Result{Outcome: directory.Usable, Certificates: []*x509.Certificate{id.Certificate}}
	return id
}

var testTriggers = Triggers{
	Sign: []string{"[sign]"}, Encrypt: []string{"[encrypt]", "[vertraulich]"}, Plain: []string{"[plain]"},
	Header: "X-SMIME", Sensitivity: []string{"Company-Confidential"},
}

func TestTriggers(t *testing.T) {
	w := newWorld(t)
	w.config.Triggers = testTriggers
	w.rules(
		enforce.Rule{Name: "free", Recipient: []string{"enc.example"}, Sign: "never", Encrypt: "never", UserControl: []string{"sign", "encrypt", "plain"}},
		enforce.Rule{Name: "locked", Recipient: []string{"strip.example"}, Sign: "never", Encrypt: "require"},
		enforce.Rule{Name: "default", Sign: "never", Encrypt: "require", UserControl: []string{"plain"}},
	)
	w.hasCertificate("x@elsewhere.example")
	tests := []struct{ head, to, want, subject string }{
		{"Subject: hello", bob, "plain " + bob, "hello"},
		{"Subject: [encrypt] hello", bob, "encrypted " + bob, "hello"},
		{"Subject: hello [ENCRYPT]", bob, "encrypted " + bob, "hello"},
		{"Subject: [Vertraulich] hello", bob, "encrypted " + bob, "hello"},
		{"Subject: =?utf-8?q?=5Bencrypt=5D_Gr=C3=BC=C3=9Fe?=", bob, "encrypted " + bob, "=?utf-8?q?Gr=C3=BC=C3=9Fe?="},
		{"Subject: [encr[encrypt]ypt] hello", bob, "encrypted " + bob, "hello"},
		{"Subject: hello\nX-SMIME: encrypt", bob, "encrypted " + bob, "hello"},
		{"Subject: hello\nx-smime : sign, encrypt", bob, "encrypted " + bob, "hello"},
		{"Subject: hello\nSensitivity: company-confidential", bob, "encrypted " + bob, "hello"},
		{"Subject: [sign] hello", bob, "signed " + bob, "hello"},
		{"Subject: [encrypt] hello", dave, "refused " + dave + " 550 5.7.1 no valid S/MIME certificate for dave@enc.example: expired 2026-03-01", ""},
		// Not granted, and removed all the same.
		{"Subject: [plain] hello", "x@strip.example", "encrypted x@strip.example", "hello"},
		{"Subject: hello\nX-SMIME: plain", "x@strip.example", "encrypted x@strip.example", "hello"},
		{"Subject: [plain] hello", "x@elsewhere.example", "plain x@elsewhere.example", "hello"},
		{"Subject: [plain] [encrypt] hello", bob, "encrypted " + bob, "hello"},
	}
	for _, tt := range tests {
		msg := parseMessage(t, "From: alice@own.example\nTo: "+tt.to+"\n"+tt.head+"\n\n"+text+"\n")
		o, err := w.process(w.envelope("out", "alice@own.example", tt.to), msg)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.outline(o); got != tt.want {
			t.Errorf("%q: %s, want %s", tt.head, got, tt.want)
		}
		for _, d := range o.Deliveries {
			if got := d.Message.Get("Subject"); got != tt.subject || d.Message.Has("X-SMIME") {
				t.Errorf("%q leaves as subject %q, want %q:\n%s", tt.head, got, tt.subject, d.Message.Header())
			}
		}
	}
}

// A wish that the rules may grant keeps a recipient from being refused early.
func TestTriggersAndRCPT(t *testing.T) {
	w := newWorld(t)
	w.config.Triggers = testTriggers
	w.rules(enforce.Rule{Name: "default", Sign: "never", Encrypt: "require", UserControl: []string{"plain"}})
	env := w.envelope("out", "alice@own.example")
	if err := w.gateway.Recipient(context.Background(), env, relay.Recipient{Address: w.addr(dave)}); err != nil {
		t.Errorf("refused early: %v", err)
	}
}

func TestWhoMaySign(t *testing.T) {
	w := newWorld(t)
	var err error
	w.config.Entitlements, err = enforce.CompileEntitlements([]enforce.Entitlement{
		{User: []string{"*"}, From: []string{"self"}},
		{Network: []string{"203.0.113.0/24"}, From: []string{"own.example"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.start()
	const no = "550 5.7.1 the message must be signed, but cannot be: this client may not send as alice@own.example"
	for _, tt := range []struct {
		client relay.Client
		want   string
	}{
		{relay.Client{User: "alice@own.example"}, "signed x@sign.example"},
		{relay.Client{User: "alice"}, "signed x@sign.example"},
		{relay.Client{User: "mallory"}, "refused x@sign.example " + no},
		{relay.Client{}, "refused x@sign.example " + no},
		{relay.Client{Addr: netip.MustParseAddr("203.0.113.4")}, "signed x@sign.example"},
		{relay.Client{User: "mallory", Addr: netip.MustParseAddr("198.51.100.4")}, "refused x@sign.example " + no},
	} {
		env := w.envelope("out", "alice@own.example", "x@sign.example")
		env.Client = tt.client
		o, err := w.process(env, w.letter("x@sign.example"))
		if err != nil {
			t.Fatal(err)
		}
		if got := w.outline(o); got != tt.want {
			t.Errorf("%+v: %s, want %s", tt.client, got, tt.want)
		}
		if x := w.gateway.ExplainEnvelope(context.Background(), env, w.letter("x@sign.example")); x.Recipients[0].Reply != strings.TrimPrefix(strings.TrimPrefix(tt.want, "signed x@sign.example"), "refused x@sign.example ") {
			t.Errorf("%+v: explained as %+v", tt.client, x.Recipients[0])
		}
	}
	// Who names no client asks about one who may.
	if x := w.explain("alice@own.example", "x@sign.example"); x.Recipients[0].Outcome != "signed" {
		t.Errorf("explained as %+v", x.Recipients[0])
	}
}

func TestSenderAndFromMustAgree(t *testing.T) {
	w := newWorld(t)
	w.rules(
		enforce.Rule{Name: "address", Recipient: []string{"address.example"}, Sign: "require", FromAlignment: "address"},
		enforce.Rule{Name: "domain", Recipient: []string{"domain.example"}, Sign: "require", FromAlignment: "domain"},
		enforce.Rule{Name: "default", Sign: "require", Encrypt: "never"},
	)
	for _, tt := range []struct {
		sender, to string
		want       bool
	}{
		{"alice@own.example", "x@address.example", true},
		{"ALICE@own.example", "x@address.example", true},
		{"amy@own.example", "x@address.example", false},
		{"amy@own.example", "x@domain.example", true},
		{"bounce@elsewhere.example", "x@domain.example", false},
		{"bounce@elsewhere.example", "x@any.example", true},
		{"", "x@address.example", true},
	} {
		o, err := w.process(w.envelope("out", tt.sender, tt.to), w.letter(tt.to))
		if err != nil {
			t.Fatal(err)
		}
		if got := len(o.Deliveries) == 1; got != tt.want {
			t.Errorf("sender %q to %s: %s", tt.sender, tt.to, w.outline(o))
		}
	}
}

func TestDomainCertificateAndFurtherReaders(t *testing.T) {
	w := newWorld(t)
	domain := w.hasCertificate("domain-confidentiality-authority@partner.example")
	archive, alice := w.hasCertificate("archive@own.example"), w.hasCertificate("alice@own.example")
	personal := w.hasCertificate("own@partner.example")
	w.theirs = certs.NewKeys(time.Now, domain, archive, alice, personal)
	w.rules(
		enforce.Rule{Name: "lost", Recipient: []string{"lost.example"}, Sign: "never", Encrypt: "require", AlsoEncryptTo: []string{"nobody@own.example"}},
		enforce.Rule{Name: "default", Sign: "never", Encrypt: "require", DomainCertificate: "domain", SenderCopy: true, AlsoEncryptTo: []string{"archive@own.example"}},
	)
	o, err := w.send("any@partner.example", "own@partner.example")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := w.outline(o), "encrypted any@partner.example own@partner.example"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	if n := w.read(o.Deliveries[0].Message).Report.Encryption.Recipients; n != 4 {
		t.Errorf("%d readers, want domain, own, archive and alice", n)
	}
	w.hasCertificate("x@lost.example")
	o, err = w.send("x@lost.example")
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Refused) != 1 || relay.ReplyFor(o.Refused[0].Err).Code != 451 {
		t.Errorf("without the archive: %s", w.outline(o))
	}
}

func TestIdentityOfTheRule(t *testing.T) {
	w := newWorld(t)
	w.config.Keys = certs.NewKeys(time.Now, w.issue("gateway@own.example"), w.issue("domain-signing-authority@own.example"))
	w.rules(
		enforce.Rule{Name: "named", Recipient: []string{"named.example"}, Sign: "require", Identity: "gateway@own.example"},
		enforce.Rule{Name: "default", Sign: "require", Encrypt: "never", Identity: "domain"},
	)
	for to, want := range map[string]string{"x@named.example": "gateway@own.example", "x@other.example": "domain-signing-authority@own.example"} {
		o, err := w.send(to)
		if err != nil || len(o.Deliveries) != 1 {
			t.Fatal(err, o)
		}
		if s := w.read(o.Deliveries[0].Message).Report.Signers; len(s) != 1 || s[0].Addresses[0] != want {
			t.Errorf("%s: signed by %+v", to, s)
		}
	}
}

// TestDomainIdentityStandsIn: one key signs for those of a domain who have none.
func TestDomainIdentityStandsIn(t *testing.T) {
	w := newWorld(t)
	domain := w.issue("domain-signing-authority@own.example")
	w.rules(enforce.Rule{Name: "default", Sign: "require", Encrypt: "never", DomainIdentity: "domain"})
	for want, keys := range map[string]certs.Keys{
		"alice@own.example":                    certs.NewKeys(time.Now, domain, w.issue("alice@own.example")),
		"domain-signing-authority@own.example": certs.NewKeys(time.Now, domain),
	} {
		w.config.Keys = keys
		w.start()
		o, err := w.send("x@other.example")
		if err != nil || len(o.Deliveries) != 1 {
			t.Fatal(err, w.outline(o))
		}
		if s := w.read(o.Deliveries[0].Message).Report.Signers; len(s) != 1 || s[0].Addresses[0] != want {
			t.Errorf("want %s, signed by %+v", want, s)
		}
	}
	if log := w.log.String(); !strings.Contains(log, "signed by the domain_identity of the rule: there is no valid identity for alice@own.example") {
		t.Errorf("log:\n%s", log)
	}
}

// TestAutomaticMailDoesNotWaitForAnIdentity: what has no author is not signed, and no
// key is asked for it. What should only be signed leaves without,
// whichever identity is to sign.
func TestAutomaticMailDoesNotWaitForAnIdentity(t *testing.T) {
	const reply = "From: MAILER-DAEMON@mta.own.example\nTo: x@other.example\nAuto-Submitted: auto-replied\n\nI am away\n"
	for _, rule := range []enforce.Rule{{}, {Identity: "domain"}, {DomainIdentity: "domain"}, {Identity: "gateway@own.example"}} {
		w := newWorld(t)
		w.config.Keys = certs.NewKeys(time.Now, w.issue("domain-signing-authority@own.example"), w.issue("gateway@own.example"))
		rule.Name, rule.Sign, rule.Encrypt, rule.Automatic = enforce.DefaultRule, "prefer", "never", "protect"
		w.rules(rule)
		o, err := w.process(w.envelope("out", "", "x@other.example"), parseMessage(t, reply))
		if err != nil {
			t.Fatal(err)
		}
		if got := w.outline(o); got != "plain x@other.example" {
			t.Errorf("identity %q, domain_identity %q: %s", rule.Identity, rule.DomainIdentity, got)
		}
	}
}

func TestSubjectTagAndReportMode(t *testing.T) {
	w := newWorld(t)
	w.rules(
		enforce.Rule{Name: "tag", Recipient: []string{bob}, Sign: "require", Encrypt: "require", SubjectTag: "[geschützt]"},
		enforce.Rule{Name: "default", Sign: "require", Encrypt: "require", Mode: "report"},
	)
	o := w.expect([]string{bob}, "encrypted bob@enc.example")
	m := o.Deliveries[0].Message
	if got := decoded(m.Get("Subject")); got != "[geschützt] confidential-subject" || w.read(m).Report.Result != "pass" {
		t.Errorf("subject %q:\n%s", got, m.Header())
	}
	msg := w.letter(dave)
	o, err := w.process(w.envelope("out", "alice@own.example", dave), msg)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Deliveries) != 1 || !bytes.Equal(o.Deliveries[0].Message.Bytes(), msg.Bytes()) {
		t.Errorf("report mode changes something:\n%s", w.outline(o))
	}
	if !strings.Contains(w.log.String(), `outcome=reported reason="refused: no valid S/MIME certificate for dave@enc.example`) {
		t.Errorf("the log does not report:\n%s", w.log)
	}
}

func TestConditionsOnContent(t *testing.T) {
	w := newWorld(t)
	w.rules(
		enforce.Rule{Name: "pdf", Attachment: []string{"*.pdf"}, Sign: "require"},
		enforce.Rule{Name: "zip", Attachment: []string{"application/zip"}, Sign: "require"},
		enforce.Rule{Name: "secret", Header: []string{"X-Class: secret"}, Sign: "require"},
		enforce.Rule{Name: "meeting", Subject: []string{"grüße"}, Sign: "require"},
		enforce.Rule{Name: "cal", Recipient: []string{"cal.example"}, Sign: "require", Encrypt: "never", Calendar: "leave"},
		enforce.Rule{Name: "default", Sign: "never", Encrypt: "never"},
	)
	for _, tt := range []struct{ head, to, want string }{
		{"Subject: x", "x@a.example", "plain"},
		{"Content-Type: application/octet-stream; name=\"Offer.PDF\"", "x@a.example", "signed"},
		{"Content-Type: application/zip", "x@a.example", "signed"},
		{"X-Class:  Secret ", "x@a.example", "signed"},
		{"X-Class: secretary", "x@a.example", "plain"},
		{"Subject: =?utf-8?q?GR=C3=9C=C3=9FE?=", "x@a.example", "signed"},
		{"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=", "x@a.example", "signed"},
		{"Subject: x", "x@cal.example", "signed"},
		{"Content-Type: text/calendar; method=REQUEST", "x@cal.example", "signed"},
	} {
		msg := parseMessage(t, "From: alice@own.example\nTo: "+tt.to+"\n"+tt.head+"\n\n"+text+"\n")
		o, err := w.process(w.envelope("out", "alice@own.example", tt.to), msg)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.outline(o); got != tt.want+" "+tt.to {
			t.Errorf("%q to %s: %s, want %s", tt.head, tt.to, got, tt.want)
		}
	}
}

// TestMeetingRequestIsLeftAlone: as a rule with calendar = "leave" says.
func TestMeetingRequestIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	w.rules(enforce.Rule{Name: "default", Sign: "require", Encrypt: "never", Calendar: "leave"})
	msg := mustMessage(t, []byte("From: alice@own.example\r\nTo: x@cal.example\r\nContent-Type: text/calendar; method=REQUEST\r\n\r\n"+event))
	o, err := w.process(w.envelope("out", "alice@own.example", "x@cal.example"), msg)
	if err != nil || w.outline(o) != "plain x@cal.example" || !strings.Contains(w.log.String(), "meeting request (METHOD:REQUEST)") {
		t.Errorf("%v %v, log %s", o, err, w.log)
	}
}

func TestCutAll(t *testing.T) {
	words := []string{"[a]", "[encrypt]"}
	for in, want := range map[string]string{
		"x": "x", "[a]": "", "[A] x": "x", "x [a] y": "x y", "x [a]": "x ", "[[a]a] x": "x", "[encr[a]ypt]x": "x", "x[a]y": "xy",
	} {
		if got := cutAll(in, words); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	// Letters whose two cases have the same length, at the end of a word too, and those
	// of another length.
	for in, want := range map[string]string{"x ÄÖ": "x ", "x äö": "x ", "x Äo": "x Äo", "ABs": "", "AB\u017f": "AB\u017f", "\u212a": "\u212a", "{": "{"} {
		if got := cutAll(in, []string{"äö", "abS", "k", "["}); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	const n = 200_000 // the work is in proportion
	if got := cutAll(strings.Repeat("[enc", n)+strings.Repeat("rypt]", n), words); got != "" {
		t.Errorf("%d octets are left", len(got))
	}
}
