package gateway

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/relay/returnpath"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// newReturning is a world whose gateway has a return path.
func newReturning(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.config.ReturnPath = testpki.Must(returnpath.New(bytes.Repeat([]byte{7}, returnpath.KeySize), "gw.own.example"))
	w.start()
	return w
}

const attacker = "mallory@evil.example"

// secretMail is encrypted to alice, with another Message-ID inside than outside.
func (w *world) secretMail() *message.Message {
	w.t.Helper()
	sealed := w.toAlice(parseMessage(w.t, "From: Bob <bob@enc.example>\nTo: alice@own.example\nSubject: outer\n"+
		"Date: Mon, 1 Dec 2025 10:00:00 +0000\nMessage-ID: <outer@evil.example>\n\n"+text+"\n"))
	return sealed
}

// accept passes a message from outside to alice through the gateway and returns the
// delivery.
func (w *world) accept(sender string, msg *message.Message, notify ...string) relay.Delivery {
	w.t.Helper()
	env := w.envelope("in", sender, "alice@own.example")
	env.Params = relay.MailParams{Return: "FULL", EnvID: "e1"}
	env.Recipients[0].Notify = notify
	o, err := w.process(env, msg)
	if err != nil || len(o.Deliveries) != 1 {
		w.t.Fatal(o, err)
	}
	return o.Deliveries[0]
}

// damaged is msg with a body that does not decrypt.
func damaged(t *testing.T, msg *message.Message) *message.Message {
	t.Helper()
	raw := bytes.Clone(msg.Bytes())
	at := len(raw) - 60
	for raw[at] == 'A' || raw[at] < '0' {
		at--
	}
	raw[at] = 'A'
	return mustMessage(t, raw)
}

// Whatever comes of the decryption, mail that was encrypted leaves in one way.
func TestEncryptedMailLeavesUnderTheReturnPath(t *testing.T) {
	w := newReturning(t)
	good := w.secretMail()
	noKey, err := smime.Encrypt(parseMessage(t, "Date: x\nMessage-ID: <outer@evil.example>\n\nx\n"), []*x509.Certificate{w.issue("alice@own.example").Certificate}, smime.EncryptOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, msg := range map[string]*message.Message{"good": good, "damaged": damaged(t, good), "no key": noKey} {
		for _, tt := range []struct {
			asked []string
			want  string
		}{
			{nil, "FAILURE"}, {[]string{"SUCCESS"}, "NEVER"}, {[]string{"SUCCESS", "FAILURE", "DELAY"}, "FAILURE"},
			{[]string{"NEVER"}, "NEVER"}, {[]string{"DELAY"}, "NEVER"},
		} {
			d := w.accept(attacker, msg, tt.asked...)
			stands, err := w.config.ReturnPath.Read(d.Sender, time.Now())
			if err != nil || stands.Sender.String() != attacker {
				t.Errorf("%s: sender %s: %v", name, d.Sender, err)
			}
			r := d.Recipients[0]
			if d.Params.Return != "HDRS" || d.Params.EnvID != "e1" || fmt.Sprint(r.Notify) != "["+tt.want+"]" || r.Original != "alice@own.example" {
				t.Errorf("%s, NOTIFY %v: %+v, %+v", name, tt.asked, d.Params, r)
			}
			o := d.Secret
			if o == nil || o.Sender.String() != attacker || o.MessageID != "<outer@evil.example>" || o.Date == "" {
				t.Errorf("%s: secret %+v", name, o)
			}
			if !d.Message.Has(secretField) || bytes.Contains(d.Message.Header(), []byte(attacker)) {
				t.Errorf("%s: header\n%s", name, d.Message.Header())
			}
		}
	}
}

func TestOtherMailKeepsItsEnvelope(t *testing.T) {
	w := newReturning(t)
	d := w.accept(attacker, parseMessage(t, "From: a@b.example\nX-SMIME-Origin: forged\n\nhello\n"), "SUCCESS")
	if d.Sender.String() != attacker || d.Params.Return != "FULL" || d.Recipients[0].Notify[0] != "SUCCESS" || d.Secret != nil || d.Message.Has(secretField) {
		t.Errorf("%+v\n%s", d, d.Message.Bytes())
	}
	if d := w.accept("", w.secretMail()); !d.Sender.IsNull() || d.Params.Return != "HDRS" || d.Secret == nil {
		t.Errorf("null sender: %+v", d)
	}
	w.config.Inbound.KeepSender = true
	w.start()
	d = w.accept(attacker, w.secretMail(), "SUCCESS")
	if d.Sender.String() != attacker || d.Params.Return != "HDRS" || d.Recipients[0].Notify[0] != "NEVER" || d.Message.Has(secretField) {
		t.Errorf("return_path = sender: %+v", d)
	}
}

// bounce is what a server behind the gateway reports of d: action and final
// recipient, and the header of the message in a part of its own.
func bounce(t *testing.T, d relay.Delivery, action, final, kind string) *message.Message {
	t.Helper()
	return parseMessage(t, "From: MAILER-DAEMON@mx.own.example\nTo: "+d.Sender.String()+"\nSubject: Undelivered: hidden-subject\n"+
		"Auto-Submitted: auto-replied\nMIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n"+
		"--b\n\nI refuse: hidden-text\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.own.example\n\n"+
		"Original-Recipient: rfc822; "+d.Recipients[0].Original+"\nFinal-Recipient: rfc822; "+final+"\nAction: "+action+
		"\nStatus: 5.7.1\nDiagnostic-Code: smtp; 550 hidden-text\n\n--b\nContent-Type: "+kind+"\n\n"+
		strings.ReplaceAll(string(d.Message.Header()), "\r\n", "\n")+"\n--b--\n")
}

// back passes what comes back to an address of the gateway's own.
func (w *world) back(from string, to address.Address, msg *message.Message) (*answer.Outcome, error) {
	w.t.Helper()
	env := w.envelope("in", from, to.String())
	if err := w.gateway.Recipient(context.Background(), env, env.Recipients[0]); err != nil {
		return nil, err
	}
	return w.process(env, msg)
}

func TestBouncesOfEncryptedMailAreReduced(t *testing.T) {
	w := newReturning(t)
	long := "a-very-long-name-of-a-mailing-list-with-verp-bounce+alice=own.example@lists.partner.example"
	reports := map[string][]string{}
	for _, sender := range []string{attacker, long} {
		for _, msg := range []*message.Message{w.secretMail(), damaged(t, w.secretMail())} {
			for _, final := range []string{"alice@own.example", "alice@mailbox.internal"} {
				for _, kind := range []string{"text/rfc822-headers", "message/rfc822", "text/plain"} {
					d := w.accept(sender, msg)
					o, err := w.back("", d.Sender, bounce(t, d, "failed", final, kind))
					if err != nil || len(o.Returned) != 1 || len(o.Notices) != 1 || len(o.Deliveries) != 0 {
						t.Fatalf("outcome %+v, error %v", o, err)
					}
					n := o.Notices[0]
					if n.Recipients[0].Address.String() != sender || !n.Sender.IsNull() {
						t.Errorf("reported to %v", n.Recipients)
					}
					reports[sender] = append(reports[sender], unlike(n.Message))
				}
			}
		}
	}
	for sender, list := range reports {
		for _, r := range list {
			if r != list[0] {
				t.Errorf("%s: two reports differ:\n%s\n%s", sender, r, list[0])
			}
		}
		for _, want := range []string{"Final-Recipient: rfc822; alice@own.example", "Original-Envelope-Id: e1", "Message-ID: <outer@evil.example>", "Date: Mon, 1 Dec 2025", "Action: failed", "Arrival-Date: "} {
			if !strings.Contains(list[0], want) {
				t.Errorf("the report lacks %q:\n%s", want, list[0])
			}
		}
		for _, secret := range []string{"hidden", "SMIME", "mx.own", "internal", "outer\r", text} {
			if strings.Contains(list[0], secret) {
				t.Errorf("the report has %q:\n%s", secret, list[0])
			}
		}
	}
}

// unlike is a report without what is of the moment: its date and identifiers.
func unlike(m *message.Message) string {
	_, id, _ := strings.Cut(m.Root().Params["boundary"], "report-")
	s := strings.ReplaceAll(string(m.Bytes()), id, "ID")
	var b strings.Builder
	for line := range strings.Lines(s) {
		if name, _, ok := strings.Cut(line, ":"); ok && (name == "Date" && !strings.Contains(line, "1 Dec 2025") || name == "Arrival-Date") {
			line = name + ": \r\n"
		}
		b.WriteString(line)
	}
	return b.String()
}

func TestWhatElseComesBackGoesNoFurther(t *testing.T) {
	w := newReturning(t)
	d := w.accept(attacker, w.secretMail())
	quiet := w.accept(attacker, w.secretMail(), "NEVER")
	vacation := "From: alice@own.example\nAuto-Submitted: auto-replied\nSubject: Re: hidden-subject\n\nI am away. You wrote:\n" +
		strings.ReplaceAll(string(d.Message.Header()), "\r\n", "\n")
	for name, tt := range map[string]struct {
		from string
		d    relay.Delivery
		msg  *message.Message
	}{
		"success":             {"", d, bounce(t, d, "delivered", "alice@own.example", "text/rfc822-headers")},
		"delay":               {"", d, bounce(t, d, "delayed", "alice@own.example", "text/rfc822-headers")},
		"no report requested": {"", quiet, bounce(t, quiet, "failed", "alice@own.example", "text/rfc822-headers")},
		"vacation":            {"", d, parseMessage(t, vacation)},
		"vacation, by name":   {"alice@own.example", d, parseMessage(t, vacation)},
		"unknown":             {"", d, parseMessage(t, "From: alice@own.example\n\nhello\n")},
	} {
		o, err := w.back(tt.from, tt.d.Sender, tt.msg)
		if err != nil || len(o.Returned) != 1 || len(o.Notices)+len(o.Deliveries)+len(o.Refused) != 0 {
			t.Errorf("%s: %+v, %v", name, o, err)
		}
	}
	if !strings.Contains(w.log.String(), "outcome=discarded") {
		t.Error("the log does not say what was discarded")
	}
	o, err := w.back("alice@own.example", d.Sender, parseMessage(t, "From: alice@own.example\nSubject: x\n\nhello\n"))
	if err != nil || len(o.Refused) != 1 || relay.ReplyFor(o.Refused[0].Err).Code != 550 {
		t.Errorf("a letter: %+v, %v", o, err)
	}
}

// A bounce of a form from before RFC 3464 is understood; without the header the
// address alone says whose it was.
func TestBounceOfAnotherForm(t *testing.T) {
	w := newReturning(t)
	d := w.accept(attacker, w.secretMail())
	for _, body := range []string{"Hi. This is the qmail-send program.\n\n" + strings.ReplaceAll(string(d.Message.Header()), "\r\n", "\n"), "Not delivered.\n"} {
		o, err := w.back("", d.Sender, parseMessage(t, "From: MAILER-DAEMON@own.example\nSubject: failure notice\n\n"+body))
		placed := strings.Contains(body, secretField)
		if err != nil || len(o.Notices) != 1 && placed {
			t.Fatalf("%+v, %v", o, err)
		}
		if placed && !bytes.Contains(o.Notices[0].Message.Bytes(), []byte("<outer@evil.example>")) {
			t.Errorf("not placed:\n%s", o.Notices[0].Message.Bytes())
		}
	}
}

func TestForgedReturnPathsAreRefused(t *testing.T) {
	w := newReturning(t)
	d := w.accept(attacker, w.secretMail())
	for name, a := range map[string]string{
		"forged": strings.Replace(d.Sender.String(), "=mallory", "=someone", 1),
		"cut":    "smr0=x@gw.own.example",
	} {
		for _, listener := range []string{"in", "out", "auto"} {
			env := w.envelope(listener, "", a)
			err := w.gateway.Recipient(context.Background(), env, env.Recipients[0])
			if err == nil || relay.ReplyFor(err).Code != 550 {
				t.Errorf("%s at %s: %v", name, listener, err)
			}
			// And where RCPT was not asked about.
			o, err := w.process(env, parseMessage(t, "From: MAILER-DAEMON@x.example\n\nx\n"))
			if err != nil || len(o.Refused) != 1 || len(o.Notices) != 0 {
				t.Errorf("%s at %s: %+v, %v", name, listener, o, err)
			}
		}
	}
	// A field from another message does not make a report for its sender.
	other := w.accept("bob@enc.example", w.secretMail())
	other.Sender = d.Sender
	o, err := w.back("", d.Sender, bounce(t, other, "failed", "alice@own.example", "text/rfc822-headers"))
	if err != nil || len(o.Notices) != 1 || o.Notices[0].Recipients[0].Address.String() != attacker {
		t.Errorf("%+v, %v", o, err)
	}
}

// The queue gives up, or the message was held: the report is the same neutral one.
func TestOwnReportsOfEncryptedMailAreReduced(t *testing.T) {
	w := newReturning(t)
	d := w.accept(attacker, w.secretMail(), "SUCCESS", "FAILURE", "DELAY")
	about := []relay.RecipientStatus{{Recipient: d.Recipients[0], Err: &fault.Error{
		Kind: fault.Refused, Public: "hidden-text", Host: "mx.own.example", Reply: fault.Reply{Code: 550, Enhanced: [3]int{5, 7, 1}, Text: "hidden-text"},
	}}}
	report, ok, err := w.gateway.Report(t.Context(), d, relay.Event{Kind: relay.Failed, About: about})
	if err != nil || !ok || report.Recipients[0].Address.String() != attacker {
		t.Fatalf("%+v, %v, %v", report, ok, err)
	}
	raw := string(report.Message.Bytes())
	if !strings.Contains(raw, "<outer@evil.example>") || strings.Contains(raw, "hidden") || strings.Contains(raw, "mx.own") || strings.Contains(raw, "SMIME") {
		t.Errorf("report:\n%s", raw)
	}
	for _, kind := range []relay.EventKind{relay.Delayed, relay.Relayed} {
		if _, ok, err := w.gateway.Report(t.Context(), d, relay.Event{Kind: kind, About: about}); ok || err != nil {
			t.Errorf("event %d is reported, error %v", kind, err)
		}
	}
}

// What the client of an LMTP listener hears is the same whatever the next hop said.
func TestAnswersForEncryptedMailAreGeneric(t *testing.T) {
	w := newReturning(t)
	d := w.accept(attacker, w.secretMail())
	said := func(code int, text string) error {
		return &fault.Error{Kind: fault.Refused, Public: text, Reply: fault.Reply{Code: code, Enhanced: [3]int{code / 100, 7, 1}, Text: text}}
	}
	answers := map[int]string{}
	for _, err := range []error{said(550, "spam: hidden-subject"), said(552, "too large"), said(451, "hidden"), said(421, "x"), fault.New(fault.Malformed, "bare CR", nil)} {
		r := relay.ReplyFor(d.Tell(err))
		class := r.Code / 100
		line := fmt.Sprint(r)
		if answers[class] == "" {
			answers[class] = line
		}
		if answers[class] != line || strings.Contains(line, "hidden") {
			t.Errorf("answer %s, and before %s", line, answers[class])
		}
	}
	plain := relay.Delivery{}
	if err := said(550, "x"); plain.Tell(err) != err || d.Tell(nil) != nil {
		t.Error("other answers are changed")
	}
}
