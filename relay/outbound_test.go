package relay

import (
	"bytes"
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/fault"
)

// outline writes an outcome as text: copies with their recipients and whether
// the text can be read without a key, then who is left out.
func (w *world) outline(o *Outcome) string {
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
	return strings.Join(parts, "\n")
}

func (w *world) expect(to []string, want string) *Outcome {
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
	opened := w.read(o.Deliveries[0].Message)
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
		t.Error("a lookup that nobody needs")
	}
}

func TestOutcomes(t *testing.T) {
	w := newWorld(t)
	const noDave = " 550 5.7.1 no valid S/MIME certificate for dave@enc.example: expired 2026-03-01"
	const noErin = " 451 4.4.3 cannot look up the certificate of erin@enc.example now: fake did not answer"
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
			`the message is encrypted for other recipients (rule "enc") and may not go to y@plain.example in the clear`},
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
	msg := parseMessage(t, "From: alice@own.example\nTo: bob@enc.example\nBcc: carol@enc.example\n\n"+text+"\n")
	o, err := w.process(w.envelope("out", "alice@own.example", bob, carol), msg)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := w.outline(o), "encrypted bob@enc.example\nencrypted carol@enc.example"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	for _, d := range o.Deliveries {
		if d.Message.Has("Bcc") || w.read(d.Message).Report.Encryption.Recipients != 1 {
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
	msg := parseMessage(t, "From: alice@own.example\nTo: x@plain.example\nBcc: y@plain.example\n\n"+text+"\n")
	o, err := w.process(w.envelope("out", "alice@own.example", "x@plain.example", "y@plain.example"), msg)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Deliveries) != 1 || bytes.Contains(o.Deliveries[0].Message.Bytes(), []byte("y@plain.example")) {
		t.Errorf("outcome:\n%s", w.outline(o))
	}
}

func TestAuthors(t *testing.T) {
	w := newWorld(t)
	tests := []struct{ name, from, to, want string }{
		{"another domain", "From: mallory@evil.example\n", "x@plain.example", "550 5.7.1 mallory@evil.example is not an address of a domain that may send here"},
		{"none", "", "x@plain.example", "550 5.6.0 the message has no From field"},
		{"broken", "From: <alice@own.example\n", "x@plain.example", "550 5.6.0 the From field cannot be understood"},
		{"one of two is a stranger", "From: alice@own.example, mallory@evil.example\n", "x@plain.example", "550 5.7.1 mallory@evil.example is not an address of a domain that may send here"},
		{"two fields", "From: alice@own.example\nFrom: alice@own.example\n", "x@sign.example", "550 5.7.1 the message must be signed and cannot be: the message has several From addresses"},
		{"two authors", "From: alice@own.example, amy@own.example\n", "x@sign.example", "550 5.7.1 the message must be signed and cannot be: the message has several From addresses"},
		{"no identity", "From: amy@own.example\n", "x@sign.example", "451 4.7.0 the message must be signed and cannot be: there is no valid identity for amy@own.example"},
	}
	for _, tt := range tests {
		o, err := w.process(w.envelope("out", "alice@own.example", tt.to), parseMessage(t, tt.from+"To: "+tt.to+"\n\n"+text+"\n"))
		if err == nil {
			if len(o.Refused) != 1 {
				t.Errorf("%s: outcome:\n%s", tt.name, w.outline(o))
				continue
			}
			err = o.Refused[0].Err
		}
		if got := replyText(err); got != tt.want {
			t.Errorf("%s: reply %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestEncryptedAlreadyPasses(t *testing.T) {
	w := newWorld(t)
	o := w.expect([]string{bob}, "encrypted bob@enc.example")
	again, err := w.process(w.envelope("out", "alice@own.example", dave, "x@plain.example"), o.Deliveries[0].Message)
	if err != nil {
		t.Fatal(err)
	}
	if len(again.Deliveries) != 1 || !bytes.Equal(again.Deliveries[0].Message.Bytes(), o.Deliveries[0].Message.Bytes()) {
		t.Errorf("outcome:\n%s", w.outline(again))
	}
}

// A false name for plain text must not open the way out.
func TestPlainTextUnderAFalseNameIsRefused(t *testing.T) {
	w := newWorld(t)
	for _, head := range []string{
		"Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\n",
		"Content-Type: application/pkcs7-mime; smime-type=enveloped-data\nContent-Transfer-Encoding: base64\n",
		"Auto-Submitted: auto-replied\n",
		"Content-Type: multipart/report; report-type=delivery-status; boundary=b\n",
	} {
		msg := parseMessage(t, "From: alice@own.example\nTo: dave@enc.example\n"+head+"\n"+text+"\n")
		o, err := w.process(w.envelope("out", "alice@own.example", dave), msg)
		if err != nil && ReplyFor(err).Code != 550 {
			t.Errorf("%s: %v", head, err)
		}
		if err == nil && len(o.Deliveries) != 0 {
			t.Errorf("%s gets out:\n%s", head, w.outline(o))
		}
	}
}

func TestReportsAreNotTouched(t *testing.T) {
	w := newWorld(t)
	report := func(last string) string {
		return "From: MAILER-DAEMON@mx.other.example\nTo: dave@enc.example\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n" +
			"--b\n\nsorry\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\n--b\nContent-Type: " + last + "\n\nSubject: x\n\nbody\n--b--\n"
	}
	o, err := w.process(w.envelope("out", "", dave), parseMessage(t, report("text/rfc822-headers")))
	if err != nil || w.outline(o) != "plain dave@enc.example" {
		t.Errorf("a report with a header: %v %v", o, err)
	}
	// One that brings a body back is mail like any other.
	o, err = w.process(w.envelope("out", "", dave), parseMessage(t, report("message/rfc822")))
	if err == nil && len(o.Deliveries) != 0 {
		t.Errorf("a report with a body gets out:\n%s", w.outline(o))
	}
	// But its author need not be of a domain of ours: refused, it would be lost.
	msg := parseMessage(t, strings.ReplaceAll(report("message/rfc822"), dave, "x@plain.example"))
	o, err = w.process(w.envelope("out", "", "x@plain.example"), msg)
	if err != nil || w.outline(o) != "plain x@plain.example" {
		t.Errorf("a report with a body to whom mail may be plain: %v %v", o, err)
	}
	// What only has the null sender is no report.
	forged := parseMessage(t, "From: mallory@evil.example\nTo: x@plain.example\n\nhello\n")
	if o, err = w.process(w.envelope("out", "", "x@plain.example"), forged); err == nil {
		t.Errorf("a stranger's From with the null sender gets out:\n%s", w.outline(o))
	}
}

func TestRecipientAtRCPT(t *testing.T) {
	w := newWorld(t)
	env := w.envelope("out", "alice@own.example")
	for to, want := range map[string]string{
		dave: "550 5.7.1 no valid S/MIME certificate for dave@enc.example: expired 2026-03-01",
		bob:  "", erin: "", "none@strip.example": "", "none@all.example": "", "x@plain.example": "",
	} {
		err := w.gateway.Recipient(context.Background(), env, Recipient{Address: w.addr(to)})
		got := ""
		if err != nil {
			got = replyText(err)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", to, got, want)
		}
	}
	w.gateway.Close() // lookups that run ahead have ended
	if w.dir.asked["none@strip.example"] == 0 || w.dir.asked["x@plain.example"] != 0 {
		t.Errorf("looked up ahead: %v", w.dir.asked)
	}
}

func TestDirections(t *testing.T) {
	w := newWorld(t)
	w.config.Listeners = append(w.config.Listeners, Listener{Name: "guarded", Direction: "outbound", Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	w.start()
	stranger := Client{Addr: netip.MustParseAddr("198.51.100.1")}
	tests := []struct {
		listener string
		client   Client
		want     enforce.Direction
		refused  bool // at RCPT, for a recipient elsewhere
	}{
		{"out", stranger, enforce.Outbound, false},
		{"in", Client{User: "alice"}, enforce.Inbound, false},
		{"auto", Client{Addr: netip.MustParseAddr("192.0.2.7")}, enforce.Outbound, false},
		{"auto", Client{Addr: netip.MustParseAddr("::ffff:192.0.2.7")}, enforce.Outbound, false},
		{"auto", Client{Addr: stranger.Addr, User: "alice"}, enforce.Outbound, false},
		{"auto", stranger, enforce.Inbound, true},
		{"auto", Client{}, enforce.Inbound, true},
		{"guarded", stranger, enforce.Outbound, true},
		{"guarded", Client{}, enforce.Outbound, true},
		{"unheard of", Client{User: "alice"}, enforce.Inbound, false},
	}
	for _, tt := range tests {
		env := &Envelope{ID: "x", Listener: tt.listener, Client: tt.client, Sender: w.addr("alice@own.example")}
		env.Direction = w.gateway.Direction(env)
		if env.Direction != tt.want {
			t.Errorf("%s, %+v: %s, want %s", tt.listener, tt.client, env.Direction, tt.want)
		}
		err := w.gateway.Recipient(context.Background(), env, Recipient{Address: w.addr("x@plain.example")})
		if (err != nil) != tt.refused {
			t.Errorf("%s, %+v: error %v, want refused %v", tt.listener, tt.client, err, tt.refused)
		}
	}
	env := w.envelope("guarded", "alice@own.example", "x@plain.example")
	env.Client = stranger
	if _, err := w.process(env, w.letter("x@plain.example")); fault.Of(err).Kind != fault.Policy {
		t.Errorf("a stranger sends by a guarded listener: %v", err)
	}
}

func TestPanicIsTemporary(t *testing.T) {
	w := newWorld(t)
	w.dir.panics = true
	_, err := w.process(w.envelope("out", "alice@own.example", bob), w.letter(bob))
	if err == nil || ReplyFor(err).Code != 451 || !strings.Contains(ReplyFor(err).Text, "id1") {
		t.Errorf("error %v", err)
	}
	if strings.Contains(ReplyFor(err).Text, "broken") || !strings.Contains(w.log.String(), "directory is broken") {
		t.Error("the cause belongs into the log, and not to the peer")
	}
}

func TestEachMailboxIsLookedUpOnce(t *testing.T) {
	w := newWorld(t)
	env := w.envelope("out", "alice@own.example", bob, carol, bob)
	o, err := w.gateway.Process(context.Background(), env, w.letter(bob, carol))
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
		if _, err := w.gateway.Process(context.Background(), w.envelope("out", "alice@own.example", bob, carol), w.letter(bob, carol)); err != nil {
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
	env.Params = MailParams{EnvID: "e1", Return: "HDRS"}
	o, err := w.process(env, w.letter(bob))
	if err != nil {
		t.Fatal(err)
	}
	d := o.Deliveries[0]
	if d.Sender != env.Sender || d.Params != env.Params || d.Recipients[0].Original != "b@x.example" || d.Recipients[0].Notify[0] != "SUCCESS" {
		t.Errorf("delivery %+v", d)
	}
}

func TestNewGatewayRefuses(t *testing.T) {
	if _, err := NewGateway(GatewayConfig{}); err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("an empty configuration: %v", err)
	}
	w := newWorld(t)
	p, err := enforce.Compile([]enforce.Rule{{Name: "default", Sign: "never", Encrypt: "require", Profile: "strong"}})
	if err != nil {
		t.Fatal(err)
	}
	w.config.Policy = p
	if _, err := NewGateway(w.config); err == nil || !strings.Contains(err.Error(), `"strong"`) {
		t.Errorf("a profile that is not there: %v", err)
	}
}

func TestSwitch(t *testing.T) {
	w := newWorld(t)
	s := NewSwitch(w.gateway)
	old := w.gateway
	w.dir.results[dave] = directory.Result{Outcome: directory.None}
	w.config.Policy = mustCompile(t, enforce.Rule{Name: "default", Sign: "never", Encrypt: "never"})
	w.start()
	env := w.envelope("out", "alice@own.example")
	if err := s.Recipient(context.Background(), env, Recipient{Address: w.addr(dave)}); err == nil {
		t.Error("before: accepted")
	}
	if s.Swap(w.gateway) != Handler(old) {
		t.Error("Swap does not return the old one")
	}
	if err := s.Recipient(context.Background(), env, Recipient{Address: w.addr(dave)}); err != nil {
		t.Errorf("after: %v", err)
	}
}

func mustCompile(t testing.TB, rules ...enforce.Rule) *enforce.Policy {
	t.Helper()
	p, err := enforce.Compile(rules)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A message that goes from one of ours to another must not carry a status that
// nobody gave it.
func TestForgedFieldsDoNotLeave(t *testing.T) {
	w := newWorld(t)
	for _, to := range []string{"x@plain.example", "x@sign.example", bob} {
		msg := parseMessage(t, "From: alice@own.example\nTo: "+to+"\nX-SMIME-Status: pass\nAuthentication-Results: gw.own.example; smime=pass\n"+
			"Authentication-Results: mx.own.example; dkim=pass\n\n"+text+"\n")
		o, err := w.process(w.envelope("out", "alice@own.example", to), msg)
		if err != nil || len(o.Deliveries) != 1 {
			t.Fatal(err, o)
		}
		m := o.Deliveries[0].Message
		if m.Has(statusField) || len(m.All(resultsField)) != 1 {
			t.Errorf("to %s:\n%s", to, m.Header())
		}
	}
}

func TestTooManyCopies(t *testing.T) {
	w := newWorld(t)
	msg := parseMessage(t, "From: alice@own.example\n\n"+text+"\n")
	w.config.Copies = 4 * len(msg.Bytes())
	w.start()
	if o, err := w.process(w.envelope("out", "alice@own.example", bob, carol), msg); err != nil || len(o.Deliveries) != 2 {
		t.Fatal(o, err)
	}
	w.config.Copies = 2 * len(msg.Bytes())
	w.start()
	if _, err := w.process(w.envelope("out", "alice@own.example", bob, carol), msg); err == nil || ReplyFor(err).Code != 552 {
		t.Errorf("two hidden recipients: %v", err)
	}
	if o, err := w.send(bob, carol); err != nil || len(o.Deliveries) != 1 {
		t.Errorf("one copy: %v", err)
	}
}

func TestNoWorkForWhoHasGone(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := w.gateway.Process(ctx, w.envelope("out", "alice@own.example", bob), w.letter(bob))
	if err == nil || ReplyFor(err).Code/100 != 4 {
		t.Errorf("error %v", err)
	}
}

// Authors as mail programs write them.
func TestAuthorsInTheWild(t *testing.T) {
	w := newWorld(t)
	for _, from := range []string{
		"alice@own.example", "<alice@own.example>", "\"Doe, Alice\" <alice@own.example>", "Alice (at home) <alice@own.example>",
		"=?iso-8859-1?q?Al=EFce?= <alice@own.example>", "Al\u00efce <alice@own.example>", "Al\xefce <alice@own.example>",
		"\"alice@own.example\" <alice@own.example>", "A. Lice <alice@own.example>", "alice@own.example (Alice)",
		"Alice\n <alice@own.example>", "=?x-unknown?b?AAAA?= <alice@own.example>",
	} {
		o, err := w.process(w.envelope("out", "alice@own.example", "x@sign.example"), parseMessage(t, "From: "+from+"\nTo: x@sign.example\n\n"+text+"\n"))
		if err != nil || len(o.Deliveries) != 1 || !isSigned(o.Deliveries[0].Message) {
			t.Errorf("%q: %v", from, err)
		}
	}
}

// What is odd and harmless is not refused: other people's signatures, types that
// nobody knows, structures that do not end.
func TestOddMessagesPass(t *testing.T) {
	w := newWorld(t)
	for name, entity := range map[string]string{
		"pgp signature":    "Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; micalg=pgp-sha256; boundary=b\n\n--b\n\nx\n--b\nContent-Type: application/pgp-signature\n\n-----BEGIN\n--b--\n",
		"pgp ciphertext":   "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\n\n--b\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n--b\nContent-Type: application/octet-stream\n\n-----BEGIN\n--b--\n",
		"certificates":     "Content-Type: application/octet-stream; name=root.p7b\nContent-Transfer-Encoding: base64\n\nTUlJ\n",
		"unknown type":     "Content-Type: x-strange/thing\n\nx\n",
		"not ended":        "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n",
		"no boundary":      "Content-Type: multipart/mixed\n\nx\n",
		"not a type":       "Content-Type: text\n\nx\n",
		"8 bit":            "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nGr\u00fc\u00dfe\n",
		"report of a list": "Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n--b\n\nx\n--b--\n",
	} {
		for _, to := range []string{"x@plain.example", "x@sign.example", bob} {
			msg := parseMessage(t, "From: alice@own.example\nTo: "+to+"\nMIME-Version: 1.0\n"+entity)
			o, err := w.process(w.envelope("out", "alice@own.example", to), msg)
			if err != nil || len(o.Deliveries) != 1 {
				t.Errorf("%s to %s: %v", name, to, err)
				continue
			}
			if to == "x@plain.example" && !bytes.Equal(o.Deliveries[0].Message.Bytes(), msg.Bytes()) {
				t.Errorf("%s is changed", name)
			}
			if r := w.read(o.Deliveries[0].Message).Report; to != "x@plain.example" && r.Result != "pass" {
				t.Errorf("%s to %s reads as %+v", name, to, r)
			}
		}
	}
}
