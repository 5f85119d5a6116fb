package gateway

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/relay/returnpath"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/message"
)

const noSuchUser = "550 5.1.1 no such user"

// newBouncing is an asking world whose questions have a return path in its own domain, in which
// mail to anyone is delivered.
func newBouncing(t *testing.T) *world {
	t.Helper()
	w := newAskingWorld(t)
	w.config.Ask.ReturnPath = testpki.Must(returnpath.New(bytes.Repeat([]byte{9}, returnpath.KeySize), "own.example"))
	w.config.ReturnPath = testpki.Must(returnpath.New(bytes.Repeat([]byte{9}, returnpath.KeySize), "gw.own.example"))
	w.start()
	return w
}

// asks has a message held, and returns the question about it and the hold.
func (w *world) asks(to string) (relay.Question, relay.Hold) {
	w.t.Helper()
	o, err := w.process(w.envelope("out", "alice@own.example", to), w.letter(to))
	if err != nil || len(o.Questions) != 1 || o.Held == nil {
		w.t.Fatal(o, err)
	}
	return o.Questions[0], *o.Held
}

// bounceOf is a failure report on a question.
func bounceOf(q relay.Question, action string) string {
	return "From: MAILER-DAEMON@mx.ask.example\nTo: " + q.Sender.String() + "\nSubject: Undelivered\nAuto-Submitted: auto-replied\nMIME-Version: 1.0\n" +
		"Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n\nSorry.\n--b\nContent-Type: message/delivery-status\n\n" +
		"Reporting-MTA: dns; mx.ask.example\n\nOriginal-Recipient: rfc822; " + q.Recipients[0].Original + "\nFinal-Recipient: rfc822; " + q.Recipients[0].Original +
		"\nAction: " + action + "\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 no\x07 such\x1b[2J user\n\n--b\nContent-Type: text/rfc822-headers\n\nSubject: x\n\n--b--\n"
}

// A question leaves under an address that a report on its failure comes back to, for as long as
// anything waits for an answer to it.
func TestQuestionHasAReturnPath(t *testing.T) {
	w := newBouncing(t)
	q, h := w.asks(unknown)
	number, ok := w.config.Ask.ReturnPath.ReadQuestion(q.Sender, h.Until)
	if !ok || number != q.Asks.Number || q.Sender.Domain() != "own.example" {
		t.Errorf("the question leaves as %s, number %q", q.Sender, number)
	}
	if r := q.Recipients[0]; fmt.Sprint(r.Notify) != "[FAILURE]" || r.Original != unknown || r.OriginalType != "rfc822" || q.Params.Return != "HDRS" {
		t.Errorf("question %+v, %+v", r, q.Params)
	}
	if !h.IsAsked(0) || h.Unreached != nil {
		t.Errorf("hold %+v", h)
	}
	again, _ := w.asks(unknown)
	if again.Asks.Number == q.Asks.Number || again.Sender == q.Sender {
		t.Error("two questions have one number")
	}
	w.config.Ask.Again, w.config.Hold = 30*24*time.Hour, time.Hour
	w.start()
	if q, _ = w.asks(unknown); !first(w.config.Ask.ReturnPath.ReadQuestion(q.Sender, time.Now().AddDate(0, 0, 30))) {
		t.Error("the address counts for less long than no other question is sent")
	}
}

func first(_ string, ok bool) bool { return ok }

// In a hold with others only those who were asked wait for an answer.
func TestWhoIsAsked(t *testing.T) {
	w := newBouncing(t)
	o, err := w.process(w.envelope("out", "alice@own.example", late, unknown, "noreply@ask.example"), w.letter(unknown))
	if err != nil || o.Held == nil {
		t.Fatal(o, err)
	}
	for i, r := range o.Held.Envelope.Recipients {
		if o.Held.IsAsked(i) != (r.Address.String() == unknown) {
			t.Errorf("%s is asked: %v", r.Address, o.Held.IsAsked(i))
		}
	}
	for to, asked := range map[string]bool{"x@hold.example": false, unknown: true} {
		o, err := w.process(w.envelope("out", "alice@own.example", to), w.letter(to))
		if err != nil || o.Held == nil || (o.Held.Asked != nil) != asked {
			t.Errorf("%s: %+v, %v", to, o, err)
		}
	}
}

// A failure report ends the wait, by each listener by which reports come; the number and what the
// server said are passed on, and nothing is notified, delivered or learned from.
func TestFailureOfAQuestion(t *testing.T) {
	w := newBouncing(t)
	w.config.Learn = func(*smime.Report) { t.Error("a report is learned from") }
	w.config.Answered = func(Answer) { t.Error("a report is an answer") }
	w.start()
	q, _ := w.asks(unknown)
	for _, listener := range []string{"in", "auto"} {
		for _, to := range []string{q.Sender.String(), strings.ToUpper(q.Sender.Local()) + "@OWN.example"} {
			o, err := w.backBy(listener, "", to, parseMessage(w.t, bounceOf(q, "failed")))
			if err != nil || len(o.Unreached) != 1 || len(o.Returned) != 1 || len(o.Notices)+len(o.Deliveries)+len(o.Refused) != 0 {
				t.Fatalf("%s: %+v, %v", listener, o, err)
			}
			u := o.Unreached[0]
			if u.Number != q.Asks.Number || len(u.Failed) != 1 || u.Failed[0].Original.String() != unknown || u.Failed[0].Reason != "550 5.1.1 no such [2J user" {
				t.Errorf("passed on %+v", u)
			}
		}
	}
	// By a gateway that signs all that leaves.
	o, err := w.backBy("in", "", q.Sender.String(), testpki.Must(smime.Sign(parseMessage(t, bounceOf(q, "failed")), w.issue("mailer-daemon@mx.ask.example"), smime.SignOptions{Time: time.Now()})))
	if err != nil || len(o.Unreached) != 1 || len(o.Returned) != 1 {
		t.Errorf("signed: %+v, %v", o, err)
	}
	for _, can := range []relay.Capabilities{{}, {EachRecipient: true}, {Edit: func(relay.Delivery) bool { return true }}} {
		a, err := w.gateway.Process(t.Context(), w.envelope("in", "", q.Sender.String()), parseMessage(t, bounceOf(q, "failed")), can)
		if err != nil || len(a.Store.Unreached) != 1 || a.Store.Empty() || a.Recipients[0].Kind != relay.Returned || a.Edit != nil || len(a.Deliver) != 0 {
			t.Errorf("%+v: %+v, %v", can, a, err)
		}
	}
}

// backBy passes a message by a listener, whose client names its recipient first.
func (w *world) backBy(listener, from, to string, msg *message.Message) (*answer.Outcome, error) {
	w.t.Helper()
	env := w.envelope(listener, from, to)
	if err := w.gateway.Recipient(w.t.Context(), env, env.Recipients[0]); err != nil {
		return nil, err
	}
	return w.process(env, msg)
}

// What is no failure report of a question ends no wait, and goes no further; a person who writes to
// the address is answered.
func TestWhatElseComesBackOnAQuestion(t *testing.T) {
	w := newBouncing(t)
	q, _ := w.asks(unknown)
	good := bounceOf(q, "failed")
	group := "Final-Recipient: rfc822; other@ask.example\nAction: delivered\n\n"
	for name, c := range map[string]struct{ from, text string }{
		"delay":                    {"", bounceOf(q, "delayed")},
		"success":                  {"", bounceOf(q, "delivered")},
		"relayed":                  {"", bounceOf(q, "relayed")},
		"no action":                {"", bounceOf(q, "")},
		"one of two got it":        {"", strings.Replace(good, "Original-Recipient", group+"Original-Recipient", 1)},
		"vacation":                 {"", "From: u@ask.example\nAuto-Submitted: auto-replied\nSubject: away\n\n" + good},
		"vacation, by name":        {unknown, "From: u@ask.example\nAuto-Submitted: auto-replied\nSubject: away\n\nI am away\n"},
		"report of a person":       {unknown, good},
		"form of its own":          {"", "From: MAILER-DAEMON@ask.example\nSubject: failure notice\n\nHi. This is the qmail-send program.\n"},
		"receipt":                  {"", strings.Replace(good, "report-type=delivery-status", "report-type=disposition-notification", 1)},
		"no type":                  {"", strings.Replace(good, "report-type=delivery-status; ", "", 1)},
		"inside of another":        {"", "From: MAILER-DAEMON@x.example\nMIME-Version: 1.0\nContent-Type: message/rfc822\n\n" + good},
		"beside a text":            {"", "From: MAILER-DAEMON@x.example\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=c\n\n--c\nContent-Type: message/rfc822\n\n" + good + "\n--c--\n"},
		"two types":                {"", "Content-Type: text/plain\n" + good},
		"in a report of no status": {"", strings.Replace(good, "message/delivery-status", "text/plain", 1)},
		"cut":                      {"", good[:strings.Index(good, "Action")]},
	} {
		o, err := w.backBy("in", c.from, q.Sender.String(), parseMessage(t, c.text))
		if err != nil || len(o.Returned) != 1 || len(o.Unreached)+len(o.Notices)+len(o.Deliveries)+len(o.Refused) != 0 {
			t.Errorf("%s: %+v, %v", name, o, err)
		}
	}
	o, err := w.backBy("in", unknown, q.Sender.String(), parseMessage(t, "From: u@ask.example\nSubject: x\n\nhello\n"))
	if err != nil || len(o.Refused) != 1 || relay.ReplyFor(o.Refused[0].Err).Code != 550 {
		t.Errorf("a letter: %+v, %v", o, err)
	}
}

// An address that the gateway did not make for a question, or that counts no longer, is one like
// any: nothing shows which. So is a good one where no report can come from.
func TestForgedReturnPathsOfQuestions(t *testing.T) {
	w := newBouncing(t)
	q, _ := w.asks(unknown)
	good := q.Sender.String()
	foreign := testpki.Must(testpki.Must(returnpath.New(make([]byte, returnpath.KeySize), "own.example")).Question(q.Asks.Number, time.Now()))
	past := testpki.Must(w.config.Ask.ReturnPath.Question(q.Asks.Number, time.Now().AddDate(0, 0, -3)))
	like := func(name string, o, plain *answer.Outcome, err, plainErr error) {
		t.Helper()
		if fmt.Sprint(err) != fmt.Sprint(plainErr) || (o == nil) != (plain == nil) ||
			o != nil && (len(o.Unreached)+len(o.Returned) != 0 || len(o.Deliveries) != len(plain.Deliveries) || len(o.Refused) != len(plain.Refused)) {
			t.Errorf("%s: %+v, %v; mail to any address: %+v, %v", name, o, err, plain, plainErr)
		}
	}
	for _, listener := range []string{"in", "auto", "out"} {
		plain, plainErr := w.backBy(listener, "", "any=one@own.example", parseMessage(t, bounceOf(q, "failed")))
		for name, to := range map[string]string{
			"another key": foreign.String(), "expired": past.String(), "another number": strings.Replace(good, "="+q.Asks.Number, "=aaaaaaaaaaaaaaaa", 1),
			"no fields": "smr2@own.example", "cut": "smr2=a=b@own.example",
		} {
			o, err := w.backBy(listener, "", to, parseMessage(t, bounceOf(q, "failed")))
			like(listener+", "+name, o, plain, err, plainErr)
		}
		if listener == "out" {
			o, err := w.backBy(listener, "", good, parseMessage(t, bounceOf(q, "failed")))
			like("by a listener for mail that leaves", o, plain, err, plainErr)
		}
	}
	env, other := w.envelope("auto", "", good), w.envelope("auto", "", "any=one@own.example")
	env.Client.User, other.Client.User = "alice", "alice"
	o, err := w.process(env, parseMessage(t, bounceOf(q, "failed")))
	plain, plainErr := w.process(other, parseMessage(t, bounceOf(q, "failed")))
	like("by a client that has logged in", o, plain, err, plainErr)

	w.config.Ask.ReturnPath = nil
	w.start()
	o, err = w.backBy("in", "", good, parseMessage(t, bounceOf(q, "failed")))
	plain, plainErr = w.backBy("in", "", "any=one@own.example", parseMessage(t, bounceOf(q, "failed")))
	like("without a return path", o, plain, err, plainErr)
}

// A message with other recipients goes to them.
func TestReportWithOtherRecipients(t *testing.T) {
	w := newBouncing(t)
	q, _ := w.asks(unknown)
	o, err := w.process(w.envelope("in", "", q.Sender.String(), "alice@own.example"), parseMessage(t, bounceOf(q, "failed")))
	if err != nil || len(o.Unreached) != 1 || len(o.Deliveries) != 1 || o.Deliveries[0].Recipients[0].Address.String() != "alice@own.example" {
		t.Errorf("%+v, %v", o, err)
	}
}

// Who is not reached does not get the message, in no form: the sender gets the reason. Those beside
// them wait on, with what is known of them; and so does who cannot be looked up now.
func TestUnreachedIsReturned(t *testing.T) {
	w := newBouncing(t)
	const other, third = "other@ask.example", "third@ask.example"
	o, err := w.process(w.envelope("out", "alice@own.example", unknown, other, third), w.letter(other))
	if err != nil || o.Held == nil || len(o.Questions) != 3 {
		t.Fatal(o, err)
	}
	h := *o.Held
	for _, r := range h.Envelope.Recipients {
		h.Unreached = append(h.Unreached, map[string]string{other: noSuchUser, third: noSuchUser}[r.Address.String()])
	}
	w.dir.results[third] = directory.Result{Outcome: directory.Unknown, Answers: []directory.Answer{{Source: "fake", Err: errSilent}}}
	b, err := w.gateway.Reconsider(t.Context(), h, relay.Order{})
	if err != nil || len(b.Copies) != 0 || len(b.Questions) != 0 || len(b.Notices) != 1 || b.Held == nil || len(b.Held.Envelope.Recipients) != 2 {
		t.Fatalf("%+v, %v", b, err)
	}
	report := string(b.Notices[0].Message.Bytes())
	if b.Notices[0].Recipients[0].Address.String() != "alice@own.example" || !strings.Contains(report, "Final-Recipient: rfc822; "+other) ||
		!strings.Contains(report, "Action: failed") || !strings.Contains(report, "the request for a certificate could not be delivered: 550 5.1.1 no such user") {
		t.Errorf("the report is\n%s", report)
	}
	if strings.Contains(report, text) || strings.Contains(report, third) || strings.Contains(report, unknown) {
		t.Errorf("the report says too much:\n%s", report)
	}
	if !strings.Contains(w.log.String(), "outcome=refused reason=\"the request for a certificate could not be delivered: 550 5.1.1 no such user") {
		t.Errorf("the log does not say so:\n%s", w.log)
	}
	for i, r := range b.Held.Envelope.Recipients {
		if want := map[string]string{unknown: "", third: noSuchUser}[r.Address.String()]; !b.Held.IsAsked(i) || b.Held.WhyUnreached(i) != want {
			t.Errorf("%s waits on with %v, %q", r.Address, b.Held.IsAsked(i), b.Held.WhyUnreached(i))
		}
	}
	delete(w.dir.results, third)
	b, err = w.gateway.Reconsider(t.Context(), *b.Held, relay.Order{})
	if err != nil || len(b.Copies) != 0 || len(b.Notices) != 1 || b.Held == nil || len(b.Held.Envelope.Recipients) != 1 || b.Held.Unreached != nil {
		t.Errorf("%+v, %v", b, err)
	}
}

// A certificate that came from elsewhere lets the message leave all the same, encrypted.
func TestUnreachedWithACertificate(t *testing.T) {
	w := newBouncing(t)
	_, h := w.asks(unknown)
	h.Unreached = []string{noSuchUser}
	w.dir.results[unknown] = w.dir.results[bob]
	b, err := w.gateway.Reconsider(t.Context(), h, relay.Order{})
	if err != nil || len(b.Copies) != 1 || b.Held != nil || len(b.Notices) != 0 || b.Copies[0].Treatment.Protection != "encrypted" {
		t.Errorf("%+v, %v", b, err)
	}
}

// A giant report is read in time that follows its size, and names no more than any does.
func TestGiantReportOnAQuestion(t *testing.T) {
	w := newBouncing(t)
	q, _ := w.asks(unknown)
	group := "Final-Recipient: rfc822; other@ask.example\nAction: failed\n\n"
	for name, more := range map[string]string{"groups": strings.Repeat(group, 60_000), "lines": strings.Repeat("\n", 3<<20)} {
		o, err := w.backBy("in", "", q.Sender.String(), parseMessage(t, strings.Replace(bounceOf(q, "failed"), "Original-Recipient", more+"Original-Recipient", 1)))
		if err != nil || len(o.Returned) != 1 || len(o.Unreached) != 0 {
			t.Errorf("%s: %d, %v", name, len(o.Unreached), err)
		}
	}
	var parts strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&parts, "--b\nContent-Type: message/delivery-status\n\nX: %d\n\n%s\n", i, group)
	}
	o, err := w.backBy("in", "", q.Sender.String(), parseMessage(t, strings.Replace(bounceOf(q, "failed"), "--b\n", parts.String()+"--b\n", 1)))
	if err != nil || len(o.Unreached) > 0 && len(o.Unreached[0].Failed) > 1000 {
		t.Errorf("parts: %+v, %v", o, err)
	}
}
