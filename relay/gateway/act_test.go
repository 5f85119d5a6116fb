package gateway

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/relay/dsn"
	"github.com/smimerelay/smimerelay/smime/message"
)

// withInboundRules gives the world inbound rules.
func withInboundRules(t *testing.T, rules ...enforce.InboundRule) *world {
	t.Helper()
	w := newWorld(t)
	w.config.InboundPolicy = testpki.Must(enforce.CompileInbound(rules))
	w.start()
	return w
}

// arrives passes a message from outside to recipients through the gateway.
func (w *world) arrives(m *message.Message, to ...string) *answer.Outcome {
	w.t.Helper()
	o, err := w.process(w.envelope("in", "bob@enc.example", to...), m)
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

// changed is bob's letter with another text than he signed.
func (w *world) changed() *message.Message {
	return mustMessage(w.t, []byte(strings.Replace(string(w.bobsLetter("").Bytes()), text, "another text", 1)))
}

const alice = "alice@own.example"

var (
	rejectBad     = enforce.InboundRule{Name: "bad", Signed: "yes", ExceptResult: []string{"pass"}, OnResult: "reject"}
	quarantineBad = enforce.InboundRule{Name: "bad", Signed: "yes", ExceptResult: []string{"pass"}, OnResult: "quarantine",
		Notify: []string{enforce.NotifyRecipient, "guard@own.example"}}
)

func TestRejectedForItsSignature(t *testing.T) {
	w := withInboundRules(t, rejectBad)
	if o := w.arrives(w.bobsLetter(""), alice); len(o.Deliveries) != 1 {
		t.Errorf("a good signature: %s", w.outline(o))
	}
	o := w.arrives(w.changed(), alice)
	if len(o.Refused) != 1 {
		t.Fatalf("a changed text: %s", w.outline(o))
	}
	r := relay.ReplyFor(o.Refused[0].Err)
	if r.Code != 550 || r.Text != "message rejected by policy: its S/MIME signature is not valid: content changed" {
		t.Errorf("%+v", r)
	}
	if !strings.Contains(w.log.String(), "rule=bad outcome=refused") {
		t.Errorf("log:\n%s", w.log)
	}
}

func TestSignatureRequired(t *testing.T) {
	w := withInboundRules(t, enforce.InboundRule{Name: "signed only", From: []string{"enc.example"}, Signed: "no", OnResult: "reject"})
	plain := parseMessage(t, "From: bob@enc.example\nTo: alice@own.example\nSubject: x\n\n"+text+"\n")
	o := w.arrives(plain, alice)
	if len(o.Refused) != 1 || !strings.Contains(o.Refused[0].Err.Error(), "it has no S/MIME signature") {
		t.Errorf("%s", w.outline(o))
	}
	other := parseMessage(t, "From: erin@other.example\nTo: alice@own.example\nSubject: x\n\n"+text+"\n")
	if o := w.arrives(other, alice); len(o.Deliveries) != 1 {
		t.Errorf("another author: %s", w.outline(o))
	}
}

// What decryption found is never the reason of a refusal: the same rule keeps an
// encrypted message back, and the client hears what it hears of every message.
func TestNothingDecryptedIsRejected(t *testing.T) {
	w := withInboundRules(t, rejectBad)
	o := w.arrives(w.toAlice(w.changed()), alice)
	if len(o.Refused) != 0 || o.Quarantined == nil || !o.Quarantined.Encrypted {
		t.Fatalf("%s", w.outline(o))
	}
	for _, d := range o.Notices {
		if !w.gateway.own(d.Recipients[0].Address) {
			t.Errorf("a notice to %s", d.Recipients[0].Address)
		}
	}
	over, err := w.gateway.Reconsider(t.Context(), *o.Quarantined, relay.Order{Verb: relay.GiveBack, Reason: "spam"})
	if err != nil || len(over.Notices) != 1 || strings.Contains(string(over.Notices[0].Message.Bytes()), "content changed") {
		t.Errorf("returned: %+v, %v", over, err)
	}
}

// What was known before decryption may be the reason.
func TestEncryptionItselfMayBeRejected(t *testing.T) {
	w := withInboundRules(t, enforce.InboundRule{Name: "no encryption", Encrypted: "yes", OnResult: "reject"})
	o := w.arrives(w.toAlice(w.changed()), alice)
	if len(o.Refused) != 1 || !strings.HasSuffix(o.Refused[0].Err.Error(), "encrypted mail is not accepted here in this form") {
		t.Fatalf("%s", w.outline(o))
	}
}

func TestQuarantine(t *testing.T) {
	w := withInboundRules(t, quarantineBad)
	m := w.changed()
	o := w.arrives(m, alice)
	h := o.Quarantined
	if h == nil || len(o.Deliveries)+len(o.Refused) != 0 || h.Message != m || !h.Quarantined || h.Encrypted {
		t.Fatalf("%s", w.outline(o))
	}
	var to []string
	for _, d := range o.Notices {
		to = append(to, d.Recipients[0].Address.String())
		if !d.Sender.IsNull() || !strings.Contains(string(d.Message.Bytes()), "content changed") {
			t.Errorf("notice:\n%s", d.Message.Bytes())
		}
	}
	if strings.Join(to, " ") != "alice@own.example guard@own.example" {
		t.Errorf("notices to %q", to)
	}

	still, err := w.gateway.Reconsider(t.Context(), *h, relay.Order{})
	if err != nil || still.Held == nil || len(still.Copies)+len(still.Notices) != 0 {
		t.Errorf("without an order: %+v, %v", still, err)
	}
	out, err := w.gateway.Reconsider(t.Context(), *h, relay.Order{Verb: relay.Release, By: "root"})
	if err != nil || out.Held != nil || len(out.Copies) != 1 || statusWord(out.Copies[0].Message) != "fail" {
		t.Errorf("released: %+v, %v", out, err)
	}
	w.gateway.Clock = func() time.Time { return h.Until }
	over, err := w.gateway.Reconsider(t.Context(), *h, relay.Order{})
	if err != nil || !over.Empty() || !strings.Contains(w.log.String(), `outcome="deleted from quarantine"`) {
		t.Errorf("after its time: %+v, %v", over, err)
	}
}

// What cannot be checked now is deferred and not refused.
func TestRejectedForNowOnly(t *testing.T) {
	d := enforce.InboundDecision{Action: enforce.Reject, Temporary: true, Reason: "its S/MIME signature cannot be checked now"}
	if r := relay.ReplyFor(rejection(d)); r.Code != 451 {
		t.Errorf("%+v", r)
	}
	if f := fault.Of(rejection(d)); !f.Logged {
		t.Error("it would be logged twice")
	}
}

// Recipients of different rules get different answers, and each is in one place.
func TestInboundRulesOfRecipients(t *testing.T) {
	rules := []enforce.InboundRule{rejectBad, quarantineBad}
	rules[0].Recipient, rules[0].Name = []string{"a@own.example"}, "a"
	rules[1].Recipient, rules[1].Name = []string{"b@own.example"}, "b"
	w := withInboundRules(t, rules...)
	o := w.arrives(w.changed(), "a@own.example", "b@own.example", "c@own.example")
	if len(o.Refused) != 1 || len(o.Deliveries) != 1 || o.Quarantined == nil || len(o.Quarantined.Envelope.Recipients) != 1 || o.Quarantined.Envelope.Others != 2 {
		t.Fatalf("%s %+v", w.outline(o), o.Quarantined)
	}
}

// Where the answer is one for all in the end, the log does not have another before it.
func TestInboundRefusalsAreLoggedOnce(t *testing.T) {
	rule := quarantineBad
	rule.Recipient = []string{"b@own.example"}
	w := withInboundRules(t, rule)
	dir := t.TempDir()
	broken := "Subject: x\n\n{{if .Sender}}{{index .Recipients 9}}{{end}}\n"
	if err := os.WriteFile(filepath.Join(dir, "quarantined.txt"), []byte(broken), 0o600); err != nil {
		t.Fatal(err)
	}
	w.gateway.Texts = testpki.Must(dsn.ReadTexts("en", os.DirFS(dir)))
	if _, err := w.process(w.envelope("in", "bob@enc.example", "a@own.example", "b@own.example"), w.changed()); err == nil {
		t.Fatal("accepted without a notice")
	}
	if n := strings.Count(w.log.String(), "recipient=a@own.example"); n != 1 {
		t.Errorf("%d lines about a recipient:\n%s", n, w.log)
	}
}

// An outbound hold and a quarantine of one message are two, and both are kept.
func TestHeldAndQuarantined(t *testing.T) {
	w := withInboundRules(t, enforce.InboundRule{Name: "all", OnResult: "quarantine"})
	env := w.envelope("in", "bob@enc.example", "late@hold.example", alice)
	o, err := w.process(env, w.bobsLetter(""))
	if err != nil || o.Held == nil || o.Quarantined == nil {
		t.Fatalf("%+v, %v", o, err)
	}
	a, err := answer.Of(t.Context(), o, env, w.bobsLetter(""), relay.Capabilities{EachRecipient: true}, w.gateway)
	if err != nil || len(a.Store.Holds()) != 2 || a.Recipients[0].Kind != relay.Held || a.Recipients[1].Kind != relay.Quarantined {
		t.Errorf("%+v, %v", a, err)
	}
}

// Notices must stay in the house.
func TestQuarantineNotifiesNoStranger(t *testing.T) {
	w := newWorld(t)
	rule := quarantineBad
	rule.Notify = []string{"guard@elsewhere.example"}
	w.config.InboundPolicy = testpki.Must(enforce.CompileInbound([]enforce.InboundRule{rule}))
	if _, err := New(w.config); err == nil || !strings.Contains(err.Error(), "guard@elsewhere.example is not of a local domain") {
		t.Errorf("%v", err)
	}
}

// Where decryption decides whether there is a delivery at all, its failure is not
// reported to the sender, and no later server can report to the outside.
func TestSilentDelivery(t *testing.T) {
	w := withInboundRules(t, rejectBad)
	o := w.arrives(w.toAlice(w.bobsLetter("")), alice)
	if len(o.Deliveries) != 1 {
		t.Fatal(w.outline(o))
	}
	d := o.Deliveries[0]
	if !d.Silent() || !d.Sender.IsNull() || d.Recipients[0].Notify[0] != "NEVER" {
		t.Errorf("%+v", d)
	}
	if d.Listener != "in" || d.Direction != "inbound" || d.Recipients[0].Rule != "" {
		t.Errorf("what it is routed by: %+v", d)
	}
	report, ok, err := w.gateway.Report(t.Context(), d, relay.Event{Kind: relay.Failed,
		About: []relay.RecipientStatus{{Recipient: d.Recipients[0], Err: fault.New(fault.Refused, "no such mailbox", nil)}}})
	if err != nil || !ok || report.Recipients[0].Address.String() != "postmaster@own.example" {
		t.Errorf("%+v, %v, %v", report, ok, err)
	}
	env := w.envelope("in", "bob@enc.example", alice)
	for _, can := range []relay.Capabilities{{EachRecipient: true}, {Edit: func(relay.Delivery) bool { return true }}} {
		a, err := answer.Of(t.Context(), o, env, w.bobsLetter(""), can, w.gateway)
		if err != nil || len(a.Store.Copies) != 1 || len(a.Deliver) != 0 || a.Edit != nil || a.Recipients[0].Kind != relay.Queued {
			t.Errorf("%+v, %v", a, err)
		}
	}
	if o := w.arrives(w.bobsLetter(""), alice); o.Deliveries[0].Silent() {
		t.Error("mail that came in the clear is silent")
	}
	w = withInboundRules(t, enforce.InboundRule{Name: "form", Deliver: "readable"})
	if o := w.arrives(w.toAlice(w.bobsLetter("")), alice); o.Deliveries[0].Silent() {
		t.Error("rules that only deliver make mail silent")
	}
}
