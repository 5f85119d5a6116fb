package test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/test/peer"
	"github.com/smimerelay/smimerelay/test/rig"
)

// ruledRecipients are the recipients of inbound mail, each with the rule for it; none is
// for the last. Addresses are of corp.example.
var ruledRecipients = []struct{ name, rule string }{
	{"reject", `signed = "yes"
except_result = ["pass"]
on_result = "reject"`},
	{"require-signed", `signed = "no"
on_result = "reject"`},
	{"require-encrypted", `encrypted = "no"
on_result = "reject"`},
	{"require-trusted", `signed = "yes"
except_chain = ["trusted"]
on_result = "reject"`},
	{"no-cbc", `algorithm = ["*-cbc"]
on_result = "reject"`},
	{"quarantine", `result = ["fail"]
on_result = "quarantine"
notify = ["recipient", "security@corp.example"]`},
	{"tag", `on_result = "tag"`},
	{"archive", `deliver = "readable"
original = "archive"`},
	{"as-is", `deliver = "as-is"`},
	{"member", boardRule},
	{"outsider", boardRule},
	{"ruleless", ""},
}

// boardRule is for those who are in a group, of whom the outsider is none.
const boardRule = `recipient_group = ["board@lists.example"]
signed = "no"
on_result = "reject"`

func ruledAddress(name string) string { return name + "@corp.example" }

// ruledAddresses are those of ruledRecipients. An identity names all of them, under the
// first.
func ruledAddresses() (all []string) {
	for _, r := range ruledRecipients {
		all = append(all, ruledAddress(r.name))
	}
	return all
}

const ruledReader = "reject@corp.example"

// ruledMail is a message from a partner for one of ruledRecipients, and what becomes of it.
type ruledMail struct {
	to, name string
	entity   string
	subject  string // "" is that of newMail
	refused  string // what the client hears, or is reported to it; "" is accepted
	result   string // the status of what arrives; "" is for check to find out
	check    func(t *testing.T, d *deployment, m mail, got rig.Delivery)
}

// ruledMails are what inbound rules do, with tags, banners and an archive.
func (d *deployment) ruledMails(t *testing.T) []ruledMail {
	good, opaque, foreign := d.signClear(t, d.ids[partner]), d.signOpaque(t, d.ids[partner]), d.signClear(t, d.foreign)
	bad := strings.Replace(good, "hello", "HELLO", 1)
	encrypt := func(entity, cipher string) string {
		encrypted, err := d.openssl.Encrypt([]byte(entity), d.ids[ruledReader], peer.Algorithms{Cipher: cipher})
		if err != nil {
			t.Fatal(err)
		}
		return string(encrypted)
	}
	return []ruledMail{
		{to: "reject", name: "good", entity: good, result: "pass", check: says("Validly signed by " + partner + ".")},
		{to: "reject", name: "bad", entity: bad, refused: "its S/MIME signature is not valid: content changed"},
		{to: "reject", name: "encrypted, good", entity: encrypt(good, "aes-256-cbc"), result: "pass", check: says("Received encrypted.")},
		{to: "reject", name: "encrypted, bad", entity: encrypt(bad, "aes-256-cbc"), check: released},
		{to: "require-signed", name: "signed", entity: opaque, result: "pass"},
		{to: "require-signed", name: "not signed", entity: inboundText, refused: "it has no S/MIME signature"},
		{to: "require-encrypted", name: "encrypted", entity: encrypt(inboundText, "aes-256-cbc"), result: "none", check: says("hello from outside")},
		{to: "require-encrypted", name: "not encrypted", entity: good, refused: "it is not encrypted"},
		{to: "require-trusted", name: "trusted", entity: good, result: "pass"},
		{to: "require-trusted", name: "not trusted", entity: foreign, refused: "its S/MIME signature is not valid: untrusted"},
		{to: "no-cbc", name: "GCM", entity: encrypt(good, "aes-256-gcm"), result: "pass"},
		{to: "no-cbc", name: "CBC", entity: encrypt(good, "aes-256-cbc"), refused: "encrypted mail is not accepted here in this form"},
		{to: "quarantine", name: "good", entity: good, result: "pass"},
		{to: "quarantine", name: "released", entity: bad, check: released},
		{to: "quarantine", name: "encrypted, released", entity: encrypt(bad, "aes-256-gcm"), check: released},
		{to: "quarantine", name: "returned", entity: bad, check: returned},
		{to: "tag", name: "good", entity: good, subject: "plans", result: "pass", check: subject("[signed] plans")},
		{to: "tag", name: "bad", entity: bad, subject: "plans", result: "fail", check: subject("[not verified] plans")},
		{to: "tag", name: "not signed", entity: inboundText, subject: "plans", result: "none", check: subject("[not verified] plans")},
		{to: "tag", name: "encrypted", entity: encrypt(good, "aes-256-gcm"), subject: "plans", result: "pass", check: subject("[signed] [encrypted] plans")},
		{to: "tag", name: "forged", entity: bad, subject: "=?utf-8?q?=5Bs=D1=96gned=5D?= plans", result: "fail", check: subject("[not verified] plans")},
		{to: "ruleless", name: "no tag", entity: good, subject: "plans", result: "pass", check: subject("plans")},
		{to: "ruleless", name: "forged tag", entity: inboundText, subject: "[signed] plans", result: "none", check: subject("plans")},
		{to: "ruleless", name: "banner", entity: inboundText, result: "none", check: says("[gw.test] S/MIME: Not signed.")},
		{to: "ruleless", name: "banner before a signature", entity: good, result: "pass", check: signatureStays},
		{to: "archive", name: "opaque", entity: opaque, result: "pass", check: archived},
		{to: "archive", name: "encrypted", entity: encrypt(opaque, "aes-256-gcm"), result: "pass", check: archived},
		{to: "as-is", name: "opaque", entity: opaque, subject: "[signed] plans", result: "pass", check: unchanged},
		{to: "member", name: "signed", entity: good, result: "pass"},
		{to: "member", name: "not signed", entity: inboundText, refused: "it has no S/MIME signature"},
		{to: "outsider", name: "not signed", entity: inboundText, result: "none"},
	}
}

// TestInboundRules passes mail for recipients with inbound rules through every deployment:
// what a rule refuses is refused while the client waits, or by Postfix's report, and what
// it keeps arrives when it is released.
func TestInboundRules(t *testing.T) {
	for name, open := range deployments {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t, newRuledWorld(t))
			d.name = name
			for _, c := range d.ruledMails(t) {
				t.Run(c.to+"/"+c.name, func(t *testing.T) { d.testRuled(t, c) })
			}
			t.Run("partner", d.testPartner)
			t.Run("to a partner", d.testToPartner)
		})
	}
}

// newRuledWorld is a world whose gateway has the rules of ruledRecipients and the
// agreements of partners.
func newRuledWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.more = partners
	for _, r := range ruledRecipients {
		if r.rule != "" {
			w.more += "\n[[inbound_rule]]\nname = \"" + r.name + "\"\nrecipient = [\"" + ruledAddress(r.name) + "\"]\n" + r.rule + "\n"
		}
	}
	w.slapd.AddPerson(t, ruledAddress("member"))
	w.slapd.AddPerson(t, ruledAddress("outsider"))
	w.group(t, "board", ruledAddress("member"))
	w.slapd.AddPerson(t, gatewaySigner, w.ids[gatewaySigner].Certificate)
	w.store(t, "identities/ruled.pem", testpki.Must(w.ids[ruledReader].PEM()))
	w.store(t, "partner.pem", testpki.EncodeCertificates(w.ids[reader].Certificate))
	w.more = strings.ReplaceAll(w.more, "DIR", w.dir)
	w.inbound = `tag_signed = "[signed]"
tag_encrypted = "[encrypted]"
tag_unverified = "[not verified]"
banner = true
archive = "` + w.archive() + "\"\n"
	return w
}

func (w *world) archive() string { return filepath.Join(w.dir, "archive") }

func (d *deployment) testRuled(t *testing.T, c ruledMail) {
	to := ruledAddress(c.to)
	m := newMail(t, partner, to)
	m.entity = c.entity
	if c.subject != "" {
		m.subject = c.subject
	}
	m.verbatim = m.bytes() // with one Date
	outcomes := d.receive(t, m)
	if c.refused != "" {
		want(t, outcomes, to, "refused")
		if !strings.Contains(outcomes[to].text, c.refused) {
			t.Errorf("the client hears %q", outcomes[to].text)
		}
		return
	}
	want(t, outcomes, to, "accepted")
	var got rig.Delivery
	if c.result != "" {
		got = d.reaches(t, m, to)
		status(t, got.Data, c.result)
	}
	if c.check != nil {
		c.check(t, d, m, got)
	}
}

// reaches waits for a message, also for one that leaves with the null sender.
func (d *deployment) reaches(t *testing.T, m mail, to string) rig.Delivery {
	t.Helper()
	return d.sink.Wait(t, "the message for "+to, func(got rig.Delivery) bool { return contains(got.To, to) && isSame(got.Data, m) })
}

func isSame(message []byte, m mail) bool {
	ids := header(message, "Message-ID")
	return len(ids) == 1 && ids[0] == "<"+m.id+">"
}

// says looks for a text.
func says(text string) func(*testing.T, *deployment, mail, rig.Delivery) {
	return func(t *testing.T, _ *deployment, _ mail, got rig.Delivery) {
		if v := pythonReads(t, got.Data); !strings.Contains(v.Text, text) {
			t.Errorf("a reader sees %q in\n%s", v.Text, got.Data)
		}
	}
}

// subject compares the subject.
func subject(text string) func(*testing.T, *deployment, mail, rig.Delivery) {
	return func(t *testing.T, _ *deployment, _ mail, got rig.Delivery) {
		if s := header(got.Data, "Subject"); len(s) != 1 || s[0] != text {
			t.Errorf("the subject is %q", s)
		}
	}
}

// unchanged: what arrives ends with what was sent.
func unchanged(t *testing.T, _ *deployment, m mail, got rig.Delivery) {
	if !bytes.HasSuffix(got.Data, m.bytes()) {
		t.Errorf("changed:\n%s", got.Data)
	}
}

// signatureStays: the banner stands before a signed message, of which nothing changes.
func signatureStays(t *testing.T, d *deployment, m mail, got rig.Delivery) {
	says("Validly signed by "+partner+".")(t, d, m, got)
	if !bytes.Contains(got.Data, entityBody(m.entity)) {
		t.Errorf("what is signed changed:\n%s", got.Data)
	}
}

// archived: what is delivered can be read, and the archive has what came.
func archived(t *testing.T, d *deployment, m mail, got rig.Delivery) {
	says("hello from outside")(t, d, m, got)
	files, err := filepath.Glob(filepath.Join(d.archive(), "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if isSame(data, m) {
			if !bytes.Contains(data, entityBody(m.entity)) {
				t.Errorf("the archive has\n%s", data)
			}
			return
		}
	}
	t.Errorf("not in the archive among %q", files)
}

// heldAs waits for the notices of a message in quarantine, where there are any, and
// returns under what id it is held.
func (d *deployment) heldAs(t *testing.T, m mail) string {
	t.Helper()
	to := m.to[0]
	if to == ruledAddress("quarantine") {
		for _, notified := range []string{to, "security@corp.example"} {
			d.sink.Wait(t, "the notice for "+notified, func(got rig.Delivery) bool {
				return got.From == "" && contains(got.To, notified) && bytes.Contains(got.Data, []byte("A message is in quarantine")) && bytes.Contains(got.Data, []byte(m.id))
			})
		}
	}
	list := d.gateway.Run(t, "queue", "held")
	id, _, _ := strings.Cut(list, " ")
	if !strings.Contains(list, "in quarantine") || !strings.Contains(list, "for <"+to+">: its S/MIME signature is not valid: content changed") {
		t.Fatalf("held is\n%s", list)
	}
	for _, got := range d.sink.All() {
		if isSame(got.Data, m) {
			t.Errorf("it arrived all the same, for %s", got.To)
		}
	}
	return id
}

// released: what is in quarantine is delivered by command.
func released(t *testing.T, d *deployment, m mail, _ rig.Delivery) {
	id := d.heldAs(t, m)
	d.gateway.Run(t, "queue", "release", id)
	got := d.reaches(t, m, m.to[0])
	status(t, got.Data, "fail")
	if !bytes.Contains(got.Data, []byte("HELLO from outside")) {
		t.Errorf("the text is not in\n%s", got.Data)
	}
}

// returned: what is in quarantine goes back to its sender by command.
func returned(t *testing.T, d *deployment, m mail, _ rig.Delivery) {
	id := d.heldAs(t, m)
	d.gateway.Run(t, "queue", "return", "--reason", "ask for it again", id)
	d.sink.Wait(t, "the report", func(got rig.Delivery) bool {
		return got.From == "" && contains(got.To, m.from) && bytes.Contains(got.Data, []byte("ask for it again"))
	})
}
