package gateway

import (
	"testing"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/message"
)

// inboundGroupWorld has inbound rules on groups.
func inboundGroupWorld(t *testing.T) (*world, *fakeGroups) {
	t.Helper()
	w := newWorld(t)
	f := &fakeGroups{
		t: t, asked: make(map[string]int),
		members: map[string]string{"desk@own.example": "help@own.example", "board@own.example": "ceo@own.example"},
		errs:    map[string]bool{"broken@own.example": true},
	}
	w.config.Groups = f
	w.config.InboundPolicy = testpki.Must(enforce.CompileInbound([]enforce.InboundRule{
		{Name: "broken", Recipient: []string{"open@own.example"}, RecipientGroup: []string{"broken@own.example"}, OnResult: "reject"},
		{Name: "kept", Recipient: []string{"kept@own.example"}, ExceptRecipientGroup: []string{"broken@own.example"}, Signed: "no", OnResult: "quarantine"},
		{Name: "board", RecipientGroup: []string{"board@own.example"}, ExceptResult: []string{"pass"}, OnResult: "reject"},
		{Name: "desk", RecipientGroup: []string{"desk@own.example"}, Deliver: "readable"},
		{Name: "none of them", ExceptRecipientGroup: []string{"desk@own.example", "board@own.example"}, Signed: "yes", Result: []string{"fail"}, OnResult: "quarantine"},
	}))
	w.start()
	return w, f
}

// Whether a recipient is in a group decides on its copy, and it is asked before anything
// is opened: that a lookup was made tells nothing of what was found.
func TestInboundRulesOfGroups(t *testing.T) {
	w, f := inboundGroupWorld(t)
	o := w.arrives(w.opaqueLetter(), "help@own.example", alice, "ceo@own.example")
	if len(o.Deliveries) != 2 {
		t.Fatal(w.outline(o))
	}
	for _, d := range o.Deliveries {
		desk := d.Recipients[0].Address.String() == "help@own.example"
		if (d.Message.Root().MediaType == "text/plain") != desk || desk != (len(d.Recipients) == 1) {
			t.Errorf("%v:\n%s", d.Recipients, d.Message.Bytes())
		}
	}
	o = w.arrives(w.changed(), alice, "help@own.example", "ceo@own.example")
	if len(o.Refused) != 1 || o.Refused[0].Recipient.Address.String() != "ceo@own.example" || o.Quarantined == nil || len(o.Quarantined.Envelope.Recipients) != 1 || len(o.Deliveries) != 1 {
		t.Error(w.outline(o))
	}
	asked := func(m *message.Message) int {
		f.mu.Lock()
		clear(f.asked)
		f.mu.Unlock()
		w.arrives(w.toAlice(m), alice)
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.asked)
	}
	if a, b := asked(parseMessage(t, "From: x@y.example\nSubject: s\n\nhello\n")), asked(w.bobsLetter("")); a != b || a == 0 {
		t.Errorf("%d and %d questions", a, b)
	}
}

// While it is unknown whether a recipient is in a group, the strictest rule that may match
// decides, and refuses nothing for good.
func TestInboundGroupUnknown(t *testing.T) {
	w, _ := inboundGroupWorld(t)
	o := w.arrives(w.bobsLetter(""), "open@own.example")
	if len(o.Refused) != 1 || relay.ReplyFor(o.Refused[0].Err).Code != 451 {
		t.Error(w.outline(o))
	}
	o = w.arrives(parseMessage(t, "From: x@y.example\nSubject: s\n\nhello\n"), "kept@own.example")
	if o.Quarantined == nil {
		t.Error(w.outline(o))
	}
	if o = w.arrives(w.bobsLetter(""), "kept@own.example"); len(o.Deliveries) != 1 {
		t.Error("a signed message to one who may be in no group of the rule: " + w.outline(o))
	}
	w.config.Groups = nil
	w.start()
	if o = w.arrives(w.changed(), alice); len(o.Refused) != 1 || relay.ReplyFor(o.Refused[0].Err).Code != 451 {
		t.Error("no directory: " + w.outline(o))
	}
}
