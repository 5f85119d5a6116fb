package gateway

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime"
)

// taking says the same of every message that it is asked about.
type taking struct {
	says  Taken
	err   error
	asked []Challenge
}

func (t *taking) Take(_ context.Context, c Challenge) (Taken, error) {
	t.asked = append(t.asked, c)
	return t.says, t.err
}

func (*taking) Covered() []string { return []string{"From", "To", "Subject"} }

// TestChallenges: what is taken is not delivered, unless it is to be; only plain inbound mail
// for one recipient, which the rules let through, is shown to who takes it.
func TestChallenges(t *testing.T) {
	w := withInboundRules(t, enforce.InboundRule{Name: "kept", From: []string{"kept.example"}, OnResult: "quarantine", Signed: "no"})
	desk := &taking{says: Taken{Taken: true}}
	w.config.Challenges = desk
	w.start()
	from := func(author string) string {
		return "From: " + author + "\nTo: alice@own.example\nSubject: x\n\n" + text + "\n"
	}
	plain := parseMessage(t, from("ca@ca.example"))
	o := w.arrives(plain, alice)
	if len(o.Deliveries) != 0 || len(o.Returned) != 1 || len(desk.asked) != 1 || !desk.asked[0].Signer.IsNull() || desk.asked[0].Message != plain {
		t.Errorf("taken: %s, %+v", w.outline(o), desk.asked)
	}
	if !strings.Contains(w.log.String(), `msg="certificate challenge"`) {
		t.Errorf("log:\n%s", w.log)
	}
	for name, can := range map[string]relay.Capabilities{"LMTP": {EachRecipient: true}, "SMTP": {}, "milter": {Edit: func(relay.Delivery) bool { return true }}} {
		a, err := w.gateway.Process(t.Context(), w.envelope("in", "ca@ca.example", alice), plain, can)
		if err != nil || len(a.Copies()) != 0 || !a.Store.Empty() || a.Recipients[0].Kind != relay.Returned {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
	desk.says.Deliver = true
	if o := w.arrives(plain, alice); len(o.Deliveries) != 1 || len(o.Returned) != 0 {
		t.Errorf("delivered too: %s", w.outline(o))
	}
	desk.says = Taken{Reason: "forged"}
	if o := w.arrives(plain, alice); len(o.Deliveries) != 1 || !strings.Contains(w.log.String(), "reason=forged") {
		t.Errorf("forged: %s", w.outline(o))
	}
	desk.says, desk.asked = Taken{Taken: true}, nil
	w.arrives(plain, alice, "carol@own.example")
	w.arrives(parseMessage(t, from("ca@kept.example")), alice)
	w.arrives(w.secretMail(), alice)
	if _, err := w.process(w.envelope("out", "alice@own.example", "carol@own.example"), plain); err != nil {
		t.Error(err)
	}
	if len(desk.asked) != 0 {
		t.Errorf("asked about %+v", desk.asked)
	}
	desk.err = fault.New(fault.Unavailable, "try again later", nil)
	if _, err := w.process(w.envelope("in", "ca@ca.example", alice), plain); err == nil || relay.ReplyFor(err).Code != 451 {
		t.Errorf("%v", err)
	}
}

// TestChallengeSigner: an author is certain by a good S/MIME signature over the header, and by
// nothing else.
func TestChallengeSigner(t *testing.T) {
	w := newWorld(t)
	desk := &taking{}
	w.config.Challenges = desk
	w.start()
	own, other := w.issue("ca@ca.example"), w.issue("other@ca.example")
	plain := parseMessage(t, "From: ca@ca.example\nTo: alice@own.example\nSubject: x\nDate: "+time.Now().Format(time.RFC1123Z)+"\n\n"+text+"\n")
	clear, wrapped := smime.SignOptions{Time: time.Now(), Headers: smime.HeadersClear}, smime.SignOptions{Time: time.Now(), Wrapped: true}
	for name, c := range map[string]struct {
		by      *certs.Identity
		how     smime.SignOptions
		changed string
		want    string
	}{
		"header protected":             {own, clear, "", "ca@ca.example"},
		"message wrapped":              {own, wrapped, "", "ca@ca.example"},
		"header not signed":            {own, smime.SignOptions{Time: time.Now()}, "", ""},
		"another signer":               {other, clear, "", ""},
		"another subject outside":      {own, clear, "Subject: x", ""},
		"another subject, wrapped":     {own, wrapped, "Subject: x", ""},
		"another text than was signed": {own, clear, text, ""},
	} {
		raw := string(testpki.Must(smime.Sign(plain, c.by, c.how)).Bytes())
		if c.changed != "" {
			raw = strings.Replace(raw, c.changed, c.changed+"y", 1)
		}
		desk.asked = nil
		w.arrives(mustMessage(t, []byte(raw)), alice)
		if got := desk.asked[0].Signer; got.String() != c.want && !(c.want == "" && got.IsNull()) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
