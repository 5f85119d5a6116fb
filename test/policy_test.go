package test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/test/peer"
	"github.com/smimerelay/smimerelay/test/rig"
)

// policyRules are those whose cases are in this file. The listener "guest" is
// for clients who may not sign as everybody.
const policyRules = `
[triggers]
sensitivity = ["Company-Confidential"]

[[entitlement]]
listener = ["outbound", "milter", "relay"]
from = ["corp.example"]

[[entitlement]]
listener = ["guest"]
from = ["guest@corp.example"]

[[entitlement]]
listener = ["guest"]
network = ["127.0.0.3/32"]
from = ["erika@corp.example"]

[[entitlement]]
listener = ["guest"]
user = ["?*"]
from = ["self"]

[[rule]]
name = "agree"
recipient = ["agree.example"]
sign = "require"
from_alignment = "address"

[[rule]]
name = "of-the-domain"
recipient = ["domain.example"]
sign = "require"
encrypt = "require"
identity = "domain"
domain_certificate = "domain"

[[rule]]
name = "deputy"
recipient = ["deputy.example"]
sign = "require"
domain_identity = "domain"

[[rule]]
name = "by-name"
recipient = ["named.example"]
sign = "require"
encrypt = "require"
identity = "team@corp.example"
domain_certificate = "gateway@named.example"

[[rule]]
name = "free"
recipient = ["free.example"]
sign = "never"
encrypt = "prefer"
user_control = ["plain"]

[[rule]]
name = "calendar-signed"
recipient = ["calsign.example"]
sign = "require"
encrypt = "require"
calendar = "sign"

[[rule]]
name = "calendar-encrypted"
recipient = ["calencrypt.example"]
sign = "require"
encrypt = "require"
calendar = "encrypt"

[[rule]]
name = "calendar-left"
recipient = ["calleave.example"]
sign = "require"
encrypt = "require"
calendar = "leave"

[[rule]]
name = "signed-again"
recipient = ["resign.example"]
sign = "require"
already_signed = "sign"

[[rule]]
name = "automatic"
recipient = ["auto.example"]
sign = "require"
encrypt = "require"

[[rule]]
name = "automatic-protected"
recipient = ["protect.example"]
sign = "never"
encrypt = "require"
automatic = "protect"

[[rule]]
name = "mute"
recipient = ["mute.example"]
sign = "never"
encrypt = "require"
no_certificate = "reject-message"
`

// The parties of the cases below.
const (
	guest     = "guest@corp.example"
	team      = "team@corp.example"
	neighbour = "127.0.0.3" // the address of a client who may more than a guest
)

func (w *world) policyPeople(t *testing.T) {
	t.Helper()
	for _, addr := range []string{guest, team, "domain-signing-authority@corp.example"} {
		w.store(t, "identities/"+addr+".pem", testpki.Must(w.issue(testpki.Leaf{Addresses: []string{addr}, Key: "rsa2048"}).PEM()))
	}
	for _, addr := range []string{"domain-confidentiality-authority@domain.example", "gateway@named.example"} {
		w.publish(t, testpki.Leaf{Addresses: []string{addr}, Key: "rsa2048"})
	}
	for _, domain := range []string{"free.example", "calsign.example", "calencrypt.example", "calleave.example", "auto.example", "protect.example", "mute.example"} {
		w.publish(t, testpki.Leaf{Addresses: []string{"bob@" + domain}, Key: "rsa2048"})
	}
}

// form is what becomes of a message on its way.
type form string

const (
	asItWas   form = "as it was"
	signed    form = "signed"
	encoded   form = "encrypted"
	encsigned form = "signed, encrypted"
)

// policyCase is a message to one recipient and what becomes of it, in every deployment.
type policyCase struct {
	name string
	// by is who hands it in: "" the usual client, "guest", "neighbour" at the
	// guests' listener, or the name that a guest logged in with.
	by       string
	from, to string
	edit     func(*mail)
	// want is a form, or a refusal with words of its reason.
	want   any
	signer string // "" is the sender
	reader string // "" is the recipient
	// deployments are those that the case is for; none is all.
	deployments []string
}

// refusal is 550 5.7.1 with these words in it.
type refusal string

// knowsClient are the deployments that learn who the client is: behind LMTP there is
// Postfix alone, which has to keep its clients apart by itself.
var knowsClient = []string{"milter", "relay"}

func withSubject(s string) func(*mail) { return func(m *mail) { m.subject = s } }
func withHeader(s string) func(*mail)  { return func(m *mail) { m.headers = s } }
func withAuthor(s string) func(*mail)  { return func(m *mail) { m.author = s } }
func withEntity(s string) func(*mail)  { return func(m *mail) { m.entity = s } }
func fromNobody(more func(*mail)) func(*mail) {
	return func(m *mail) { m.from, m.author = "", m.from; more(m) }
}

const meeting = "Content-Type: text/calendar; method=REQUEST; charset=us-ascii\r\n\r\n" +
	"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n"

const deliveryReport = "Content-Type: multipart/report; report-type=delivery-status; boundary=r\r\n\r\n" +
	"--r\r\nContent-Type: text/plain\r\n\r\nit did not arrive\r\n" +
	"--r\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.corp.example\r\n\r\nFinal-Recipient: rfc822; x@corp.example\r\nAction: failed\r\nStatus: 5.1.1\r\n" +
	"--r--\r\n"

func (d *deployment) policyCases(t *testing.T) []policyCase {
	const sign, best = "bob@sign.example", "bob@best.example"
	both := alice + ">, <" + erika // two mailboxes in one From
	ours := d.signClear(t, d.ids[alice])
	return []policyCase{
		// Who may sign as whom.
		{name: "a guest as themselves", by: "guest", from: guest, to: sign, want: signed},
		{name: "a guest as another", by: "guest", from: alice, to: sign, want: refusal("this client may not send as alice@corp.example")},
		{name: "a guest as another in From only", by: "guest", from: guest, to: sign, edit: withAuthor(alice), want: refusal("")},
		{name: "a guest as another, unsigned", by: "guest", from: alice, to: best, want: encoded},
		{name: "by network", by: neighbour, from: erika, to: sign, want: signed, deployments: knowsClient},
		{name: "by another network", by: "guest", from: erika, to: sign, want: refusal("")},
		{name: "by login", by: "alice", from: alice, to: sign, want: signed, deployments: []string{"milter"}},
		{name: "by the login of another", by: "alice", from: erika, to: sign, want: refusal(""), deployments: []string{"milter"}},
		{name: "several authors", from: alice, to: sign, edit: withAuthor(both), want: refusal("the message has several From addresses")},
		{name: "several authors, unsigned", from: alice, to: best, edit: withAuthor(both), want: encoded},
		{name: "an outside author", from: "x@elsewhere.example", to: best, want: encoded},
		{name: "an outside author, to sign", from: "x@elsewhere.example", to: sign, want: asItWas},
		{name: "envelope and From agree", from: alice, to: "x@agree.example", want: signed},
		{name: "envelope and From do not agree", from: erika, to: "x@agree.example", edit: withAuthor(alice), want: refusal("")},
		// For and by a whole domain.
		{name: "domain", from: norah, to: "anybody@domain.example", want: encsigned, signer: "domain-signing-authority@corp.example", reader: "domain-confidentiality-authority@domain.example"},
		{name: "the domain's key for whom has none", from: norah, to: "anybody@deputy.example", want: signed, signer: "domain-signing-authority@corp.example"},
		{name: "and their own for whom has one", from: alice, to: "anybody@deputy.example", want: signed},
		{name: "by name", from: norah, to: "anybody@named.example", want: encsigned, signer: team, reader: "gateway@named.example"},
		// What the sender asks for.
		{name: "asks for a signature", from: alice, to: "bob@choice.example", edit: withSubject("[sign] x"), want: signed},
		{name: "is confidential", from: alice, to: "bob@choice.example", edit: withHeader("Sensitivity: Company-Confidential\r\n"), want: encoded},
		{name: "is private", from: alice, to: "bob@choice.example", edit: withHeader("Sensitivity: Private\r\n"), want: asItWas},
		{name: "asks for nothing", from: alice, to: "bob@free.example", want: encoded},
		{name: "asks for no encryption", from: alice, to: "bob@free.example", edit: withSubject("[plain] x"), want: asItWas},
		// Meeting requests.
		{name: "meeting, signed", from: alice, to: "bob@calsign.example", edit: withEntity(meeting), want: signed},
		{name: "meeting, encrypted", from: alice, to: "bob@calencrypt.example", edit: withEntity(meeting), want: encoded},
		{name: "meeting, left alone", from: alice, to: "bob@calleave.example", edit: withEntity(meeting), want: asItWas},
		{name: "no meeting", from: alice, to: "bob@calleave.example", want: encsigned},
		// Protected already.
		{name: "signed already", from: alice, to: "bob@both.example", edit: withEntity(ours), want: encoded},
		{name: "signed already, and again", from: alice, to: "x@resign.example", edit: withEntity(ours), want: signed},
		{name: "encrypted already, to sign", from: alice, to: sign, edit: withEntity(d.encryptTo(t, inboundText, d.ids[sign])), want: asItWas},
		// Machines.
		{name: "automatic reply", from: alice, to: "bob@auto.example", edit: fromNobody(withHeader("Auto-Submitted: auto-replied\r\n")), want: asItWas},
		{name: "delivery report", from: "mailer-daemon@corp.example", to: "bob@auto.example", edit: fromNobody(withEntity(deliveryReport)), want: asItWas},
		{name: "automatic reply, protected", from: alice, to: "bob@protect.example", edit: fromNobody(withHeader("Auto-Submitted: auto-replied\r\n")), want: encoded},
		{name: "no reply, null author", from: alice, to: "bob@mute.example", edit: fromNobody(withSubject("x")), want: encoded},
		{name: "automatic, with a sender", from: alice, to: "bob@mute.example", edit: withHeader("Auto-Submitted: auto-replied\r\n"), want: encoded},
	}
}

// testPolicy: the same comes out in every deployment.
func (d *deployment) testPolicy(t *testing.T) {
	for _, c := range d.policyCases(t) {
		if len(c.deployments) == 0 || slices.Contains(c.deployments, d.name) {
			t.Run(c.name, func(t *testing.T) { d.testPolicyCase(t, c) })
		}
	}
	t.Run("two hidden recipients", d.testTwoHidden)
	t.Run("a stranger asks", d.testStrangerAsks)
}

func (d *deployment) testPolicyCase(t *testing.T, c policyCase) {
	m := newMail(t, c.from, c.to)
	m.subject = "x"
	if c.edit != nil {
		c.edit(&m)
	}
	outcome := d.transact(t, d.client(t, c.by), m)[c.to]
	if r, ok := c.want.(refusal); ok {
		if outcome.word != "refused" || !strings.Contains(outcome.text, "550 5.7.1 ") || !strings.Contains(outcome.text, string(r)) {
			t.Errorf("%s (%s), want 550 5.7.1 %s", outcome.word, outcome.text, r)
		}
		d.onlyTo(t, m)
		return
	}
	if outcome.word != "accepted" {
		t.Fatalf("%s (%s)", outcome.word, outcome.text)
	}
	got := d.sink.Wait(t, "the copy for "+c.to, func(got rig.Delivery) bool {
		return contains(got.To, c.to) && strings.Contains(string(got.Data), "<"+m.id+">")
	})
	if got.From != m.from {
		t.Errorf("sender %q, want %q", got.From, m.from)
	}
	if s := header(got.Data, "Subject"); len(s) != 1 || s[0] != "x" {
		t.Errorf("subject %q", s)
	}
	d.has(t, got.Data, m, c)
}

// client connects as the one who hands the message in.
func (d *deployment) client(t *testing.T, by string) *rig.Client {
	t.Helper()
	switch by {
	case "":
		return rig.Dial(t, d.outbound, rig.Insider)
	case "guest":
		return rig.Dial(t, d.guest, rig.Insider)
	case neighbour:
		return rig.Dial(t, d.guest, neighbour)
	}
	c := rig.Dial(t, d.guest, rig.Insider)
	for _, command := range []string{"XCLIENT LOGIN=" + by, "EHLO client.test"} {
		id, err := c.Text.Cmd("%s", command)
		if err != nil {
			t.Fatal(err)
		}
		c.Text.StartResponse(id)
		if _, _, err = c.Text.ReadResponse(2); err != nil {
			t.Fatalf("%s: %v", command, err)
		}
		c.Text.EndResponse(id)
	}
	return c
}

// has checks the form in which a message arrived.
func (d *deployment) has(t *testing.T, message []byte, m mail, c policyCase) {
	t.Helper()
	signer, reader := c.signer, c.reader
	if signer == "" {
		signer = c.from
	}
	if reader == "" {
		reader = c.to
	}
	isSigned := func(b []byte) {
		d.verified(t, b, m, d.openssl)
		if !peer.Names(b, d.ids[signer]) {
			t.Errorf("not signed by %s", signer)
		}
	}
	switch c.want {
	case asItWas:
		sameContent(t, entityOf(message), []byte(m.entity))
	case signed:
		isSigned(message)
	default:
		if !peer.Names(message, d.ids[reader]) || !enciphered(message) {
			t.Errorf("not encrypted to %s:\n%.1000s", reader, message)
		}
		d.decrypted(t, message, d.openssl, func(inner []byte) {
			if c.want == encsigned {
				isSigned(inner)
			} else {
				sameContent(t, inner, []byte(m.entity))
			}
		})
	}
}

// testTwoHidden: no recipient learns of a hidden one, also not another one.
func (d *deployment) testTwoHidden(t *testing.T) {
	m := newMail(t, alice, "bob@both.example", "ec@both.example", "file@both.example")
	m.visible = m.to[:1]
	outcomes := d.send(t, m)
	for _, addr := range m.to {
		want(t, outcomes, addr, "accepted")
		got := d.arrived(t, m, addr)
		d.decrypted(t, got.Data, d.openssl, func(inner []byte) { d.verified(t, inner, m, d.openssl) })
		for _, other := range m.to {
			if (other == addr) != peer.Names(got.Data, d.ids[other]) || other != addr && contains(got.To, other) {
				t.Errorf("the copy for %s, to %q: names %s: %t", addr, got.To, other, other != addr)
			}
		}
	}
}

// testStrangerAsks: words of strangers mean nothing, and stay.
func (d *deployment) testStrangerAsks(t *testing.T) {
	m := newMail(t, partner, alice)
	m.subject, m.headers = "[encrypt] x", "X-SMIME: encrypt\r\n"
	want(t, d.receive(t, m), alice, "accepted")
	got := d.arrived(t, m, alice)
	sameContent(t, entityOf(got.Data), []byte(m.entity))
	if s := header(got.Data, "Subject"); len(s) != 1 || s[0] != m.subject {
		t.Errorf("subject %q", s)
	}
}

// guestListener is the configuration of the guests' listener.
func guestListener(protocol string, port int) string {
	networks := "[]"
	if protocol == "smtp" { // there a listener for those who send names them
		networks = `["127.0.0.0/8"]`
	}
	return fmt.Sprintf("\n[[listener]]\nname = \"guest\"\nprotocol = %q\naddress = \"127.0.0.1:%d\"\ndirection = \"outbound\"\nnetworks = %s\n", protocol, port, networks)
}
