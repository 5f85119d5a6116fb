package gateway

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// outline writes an outcome as text: copies with their recipients and whether
// the text can be read without a key, then who is left out.
func (w *world) outline(o *answer.Outcome) string {
	var parts []string
	for _, d := range o.Deliveries {
		var to []string
		for _, r := range d.Recipients {
			to = append(to, r.Address.String())
		}
		slices.Sort(to)
		form := "plain"
		switch {
		case isEncrypted(d.Message):
			form = "encrypted"
			if bytes.Contains(d.Message.Bytes(), []byte(text)) {
				w.t.Error("an encrypted copy has the text")
			}
		case isSigned(d.Message):
			form = "signed"
		}
		parts = append(parts, form+" "+strings.Join(to, " "))
	}
	for _, r := range o.Refused {
		parts = append(parts, "refused "+r.Recipient.Address.String()+" "+replyText(r.Err))
	}
	for _, a := range o.Stripped {
		parts = append(parts, "stripped "+a.String())
	}
	if o.Held != nil {
		for i, r := range o.Held.Envelope.Recipients {
			parts = append(parts, "held "+r.Address.String()+" "+o.Held.Reasons[i])
		}
	}
	return strings.Join(parts, "\n")
}

func (w *world) expect(to []string, want string) *answer.Outcome {
	w.t.Helper()
	o, err := w.send(to...)
	if err != nil {
		w.t.Fatal(err)
	}
	if got := w.outline(o); got != want {
		w.t.Errorf("to %v:\n got %s\nwant %s", to, got, want)
	}
	return o
}

func TestSignedAndEncrypted(t *testing.T) {
	w := newWorld(t)
	o := w.expect([]string{bob, carol}, "encrypted bob@enc.example carol@enc.example")
	d := o.Deliveries[0]
	if d.Listener != "out" || d.Direction != "outbound" || d.Recipients[0].Rule != "enc" || d.Recipients[1].Rule != "enc" {
		t.Errorf("what it is routed by: %+v", d)
	}
	opened := w.read(d.Message)
	if opened.Report.Result != "pass" || !bytes.Contains(opened.Message.Bytes(), []byte(text)) {
		t.Errorf("what arrives reads as %+v:\n%s", opened.Report, opened.Message.Bytes())
	}
	if got := opened.Report.Encryption; got == nil || got.Recipients != 2 || got.Cipher != "aes-256-cbc" {
		t.Errorf("encryption %+v", got)
	}
}

func TestSignedOnly(t *testing.T) {
	w := newWorld(t)
	o := w.expect([]string{"x@sign.example"}, "signed x@sign.example")
	if r := w.read(o.Deliveries[0].Message).Report; r.Result != "pass" || r.Signers[0].Addresses[0] != "alice@own.example" {
		t.Errorf("what arrives reads as %+v", r)
	}
	if w.dir.asked["x@sign.example"] != 0 {
		t.Error("a lookup that is not needed")
	}
}

func TestOutcomes(t *testing.T) {
	w := newWorld(t)
	const noDave = " 550 5.7.1 no valid S/MIME certificate for dave@enc.example: expired 2026-03-01"
	const noErin = " 451 4.4.3 cannot look up the certificate of erin@enc.example now: fake is unavailable"
	for _, tt := range []struct{ to, want string }{
		{"x@plain.example", "plain x@plain.example"},
		{dave, "refused " + dave + noDave},
		{"bob@enc.example dave@enc.example", "encrypted bob@enc.example\nrefused " + dave + noDave},
		{erin, "refused " + erin + noErin},
		{"bob@enc.example erin@enc.example", "encrypted bob@enc.example\nrefused " + erin + noErin},
		{"x@strip.example none@strip.example", "encrypted x@strip.example\nstripped none@strip.example"},
		{"none@strip.example", "refused none@strip.example 550 5.7.1 no valid S/MIME certificate for none@strip.example: no certificate found in fake"},
		{"x@prefer.example", "encrypted x@prefer.example"},
		{"none@prefer.example", "signed none@prefer.example"},
		{"x@mixed.example y@plain.example", "encrypted x@mixed.example\nplain y@plain.example"},
		{"bob@enc.example y@plain.example", "encrypted bob@enc.example\nrefused y@plain.example 550 5.7.1 " +
			`the message is encrypted for other recipients (rule "enc") and may not go to y@plain.example in plaintext; send a separate message to y@plain.example`},
	} {
		w.expect(strings.Fields(tt.to), tt.want)
	}
}

func TestRejectMessageSendsNothing(t *testing.T) {
	w := newWorld(t)
	o, err := w.send("x@all.example", "none@all.example", "y@plain.example")
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Deliveries) != 0 || len(o.Refused) != 3 {
		t.Errorf("outcome:\n%s", w.outline(o))
	}
}

func TestStripSendsOneNotice(t *testing.T) {
	w := newWorld(t)
	o := w.expect([]string{"x@strip.example", "none1@strip.example", "none2@strip.example"},
		"encrypted x@strip.example\nstripped none1@strip.example\nstripped none2@strip.example")
	if len(o.Notices) != 1 {
		t.Fatalf("%d notices, want 1", len(o.Notices))
	}
	n := o.Notices[0]
	if !n.Sender.IsNull() || n.Recipients[0].Address.String() != "alice@own.example" || n.Message.Get("Auto-Submitted") != "auto-replied" {
		t.Errorf("the notice goes from %q to %v", n.Sender, n.Recipients)
	}
	for _, want := range []string{"none1@strip.example", "none2@strip.example"} {
		if !bytes.Contains(n.Message.Bytes(), []byte("Final-Recipient: rfc822; "+want)) {
			t.Errorf("the notice does not name %s:\n%s", want, n.Message.Bytes())
		}
	}
	if bytes.Contains(n.Message.Bytes(), []byte(text)) {
		t.Error("the notice has the text")
	}
}

func TestStripWithoutSenderRefuses(t *testing.T) {
	w := newWorld(t)
	o, err := w.process(w.envelope("out", "", "x@strip.example", "none@strip.example"), w.letter("x@strip.example"))
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Stripped) != 0 || len(o.Notices) != 0 || len(o.Refused) != 1 {
		t.Errorf("outcome:\n%s", w.outline(o))
	}
}

func TestHiddenRecipientsHaveCopiesOfTheirOwn(t *testing.T) {
	w := newWorld(t)
	msg := parseMessage(t, "From: alice@own.example\nTo: bob@enc.example\nBcc: carol@enc.example\nResent-Bcc: carol@enc.example\n\n"+text+"\n")
	o, err := w.process(w.envelope("out", "alice@own.example", bob, carol), msg)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := w.outline(o), "encrypted bob@enc.example\nencrypted carol@enc.example"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	for _, d := range o.Deliveries {
		if d.Message.Has("Bcc") || d.Message.Has("Resent-Bcc") || w.read(d.Message).Report.Encryption.Recipients != 1 {
			t.Error("a copy tells of a hidden recipient")
		}
	}
}

func TestToThatCannotBeReadHidesEverybody(t *testing.T) {
	w := newWorld(t)
	msg := parseMessage(t, "From: alice@own.example\nTo: bob@enc.example, <carol@enc.example\n\n"+text+"\n")
	o, err := w.process(w.envelope("out", "alice@own.example", bob, carol), msg)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Deliveries) != 2 {
		t.Errorf("outcome:\n%s", w.outline(o))
	}
}

func TestBccLeavesPlainCopiesToo(t *testing.T) {
	w := newWorld(t)
	msg := parseMessage(t, "From: alice@own.example\nTo: x@plain.example\nBcc: y@plain.example\nResent-Bcc: y@plain.example\n\n"+text+"\n")
	o, err := w.process(w.envelope("out", "alice@own.example", "x@plain.example", "y@plain.example"), msg)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Deliveries) != 1 || bytes.Contains(o.Deliveries[0].Message.Bytes(), []byte("y@plain.example")) {
		t.Errorf("outcome:\n%s", w.outline(o))
	}
}

func TestEachMailboxIsLookedUpOnce(t *testing.T) {
	w := newWorld(t)
	env := w.envelope("out", "alice@own.example", bob, carol, bob)
	o, err := w.gateway.outcome(context.Background(), env, w.letter(bob, carol))
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Deliveries) != 1 || len(o.Deliveries[0].Recipients) != 3 || w.dir.asked[bob] != 1 {
		t.Errorf("asked %v, outcome:\n%s", w.dir.asked, w.outline(o))
	}
}

func TestLookupsAreParallel(t *testing.T) {
	w := newWorld(t)
	w.dir.entered, w.dir.gate = make(chan struct{}), make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := w.gateway.outcome(context.Background(), w.envelope("out", "alice@own.example", bob, carol), w.letter(bob, carol)); err != nil {
			t.Error(err)
		}
	}()
	// Both must begin before either may end, or this blocks for good.
	<-w.dir.entered
	<-w.dir.entered
	close(w.dir.gate)
	<-done
}

func TestEnvelopeSurvives(t *testing.T) {
	w := newWorld(t)
	env := w.envelope("out", "alice@own.example", bob)
	env.Recipients[0].Notify, env.Recipients[0].Original = []string{"SUCCESS"}, "b@x.example"
	env.Params = relay.MailParams{EnvID: "e1", Return: "HDRS"}
	o, err := w.process(env, w.letter(bob))
	if err != nil {
		t.Fatal(err)
	}
	d := o.Deliveries[0]
	if d.Sender != env.Sender || d.Params != env.Params || d.Recipients[0].Original != "b@x.example" || d.Recipients[0].Notify[0] != "SUCCESS" {
		t.Errorf("delivery %+v", d)
	}
}

func TestTooManyCopies(t *testing.T) {
	w := newWorld(t)
	msg := parseMessage(t, "From: alice@own.example\n\n"+text+"\n")
	size := int64(len(msg.Bytes()))
	env := w.envelope("out", "alice@own.example", bob, carol)
	for memory, code := range map[int64]int{2 * size: 0, size: 552} {
		ctx := relay.WithMemory(t.Context(), relay.NewMemory(memory).Share())
		o, err := w.gateway.outcome(ctx, env, msg)
		switch {
		case code == 0 && (err != nil || len(o.Deliveries) != 2):
			t.Errorf("two hidden recipients in %d octets: %v", memory, err)
		case code != 0 && (err == nil || relay.ReplyFor(err).Code != code):
			t.Errorf("two hidden recipients in %d octets: %v, want %d", memory, err, code)
		}
	}
	budget := relay.NewMemory(2 * size)
	budget.Share().Reserve(size)
	if _, err := w.gateway.outcome(relay.WithMemory(t.Context(), budget.Share()), env, msg); err == nil || relay.ReplyFor(err).Code != 452 {
		t.Errorf("beside another message: %v", err)
	}
	if o, err := w.send(bob, carol); err != nil || len(o.Deliveries) != 1 {
		t.Errorf("one copy: %v", err)
	}
}

func TestNoWorkForWhoHasGone(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := w.gateway.outcome(ctx, w.envelope("out", "alice@own.example", bob), w.letter(bob))
	if err == nil || relay.ReplyFor(err).Code/100 != 4 {
		t.Errorf("error %v", err)
	}
}

// TestDeriveKey: a profile has the content key bound to the cipher.
func TestDeriveKey(t *testing.T) {
	w := newWorld(t)
	w.config.Profiles = map[string]Profile{enforce.DefaultProfile: {Cipher: "aes-256-gcm", DeriveKey: true}}
	w.start()
	o, err := w.send(bob)
	if err != nil {
		t.Fatal(err)
	}
	got := w.read(o.Deliveries[0].Message)
	if e := got.Report.Encryption; e == nil || !e.DerivedKey || e.Cipher != "aes-256-gcm" {
		t.Errorf("encryption %+v", e)
	}
}

// TestLegacyDisplay: a profile repeats the subject that it hides in the text, signed before
// it is encrypted or not.
func TestLegacyDisplay(t *testing.T) {
	w := newWorld(t)
	w.config.Profiles = map[string]Profile{enforce.DefaultProfile: {ProtectEncrypted: true, LegacyDisplay: true}}
	w.start()
	for _, to := range []string{bob, "x@mixed.example"} {
		o, err := w.send(to)
		if err != nil {
			t.Fatal(err)
		}
		m := o.Deliveries[0].Message
		if bytes.Contains(m.Bytes(), []byte("confidential-subject")) {
			t.Errorf("%s: the subject is outside", to)
		}
		const display = "\r\n\r\nSubject: confidential-subject\r\n\r\n"
		if got := w.inside(m); !bytes.Contains(got, []byte(display)) {
			t.Errorf("%s: the text does not begin with the subject:\n%s", to, got)
		}
		// What bears no signature is read without it.
		if got := w.read(m).Message.Bytes(); bytes.Contains(got, []byte(display)) != (to == bob) {
			t.Errorf("%s: read as\n%s", to, got)
		}
	}
}

// inside is what is encrypted in a message to one recipient.
func (w *world) inside(m *message.Message) []byte {
	w.t.Helper()
	object, err := m.Root().Decode()
	if err != nil {
		w.t.Fatal(err)
	}
	e, err := cms.ParseEnvelopedData(object)
	if err != nil {
		w.t.Fatal(err)
	}
	ids, err := w.theirs.Decryption(context.Background(), e.Recipients[0].ID)
	if err != nil || len(ids) == 0 {
		w.t.Fatalf("%d identities, %v", len(ids), err)
	}
	content, err := e.Decrypt(0, ids[0].Key, cms.DecryptOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return content
}

// TestHeaderProtection: a profile hides the subject in what is encrypted, signed
// before or not, and copies it into what is signed only.
func TestHeaderProtection(t *testing.T) {
	w := newWorld(t)
	w.config.Profiles = map[string]Profile{enforce.DefaultProfile: {ProtectSigned: true, ProtectEncrypted: true}}
	w.start()
	for to, want := range map[string]string{bob: "[...]", "x@mixed.example": "[...]", "x@sign.example": "confidential-subject"} {
		o, err := w.send(to)
		if err != nil {
			t.Fatal(err)
		}
		m := o.Deliveries[0].Message
		if got := m.Get("Subject"); got != want {
			t.Errorf("%s: the subject outside is %q", to, got)
		}
		if bytes.Count(m.Bytes(), []byte("confidential-subject")) == 0 && want != "[...]" {
			t.Errorf("%s: the subject is gone", to)
		}
		if got := w.read(m).Message.Get("Subject"); got != "confidential-subject" {
			t.Errorf("%s: the reader sees the subject %q", to, got)
		}
		if want != "[...]" && !bytes.Contains(m.Bytes(), []byte(`hp="clear"`)) {
			t.Errorf("%s: the signature does not protect the header:\n%s", to, m.Bytes())
		}
	}
}
