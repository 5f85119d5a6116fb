package test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/test/rig"
)

// refused is one of us whose mailbox server refuses everything.
const refused = "refuse-all@corp.example"

// testReturned: mail is decrypted, and the server behind the gateway refuses it. The
// sender hears that, and reads nothing of what was decrypted, whatever they ask for.
func (d *deployment) testReturned(t *testing.T) {
	const stranger = "captor@partner.example"
	m := newMail(t, stranger, refused)
	m.entity = d.encryptTo(t, inboundText, d.ids[refused])
	c := rig.Dial(t, d.inbound, rig.Stranger)
	if got := c.Send(m.from, m.to, m.bytes()); !got.Data.Positive() {
		t.Fatalf("not taken: %v", got.Data)
	}
	report := d.notified(t, stranger, refused)
	for _, secret := range []string{"hello from outside", "X-SMIME", "the sink refuses"} {
		if bytes.Contains(report.Data, []byte(secret)) {
			t.Errorf("the report has %q:\n%s", secret, report.Data)
		}
	}
	if text := string(report.Data); !strings.Contains(text, "Action: failed") || !strings.Contains(text, "Message-ID: <"+m.id+">") || !strings.Contains(text, "Reporting-MTA: dns; gw.test") {
		t.Errorf("the report does not place the mail:\n%s", text)
	}
	for _, got := range d.sink.All() {
		if got.From == "" && contains(got.To, stranger) && !bytes.Equal(got.Data, report.Data) {
			t.Errorf("a second report:\n%s", got.Data)
		}
	}
}

// testUnderTheReturnPath: what was encrypted leaves under an address of the gateway.
func (d *deployment) testUnderTheReturnPath(t *testing.T) {
	m := newMail(t, partner, alice)
	m.entity = d.encryptTo(t, inboundText, d.ids[alice])
	want(t, d.receive(t, m), alice, "accepted")
	if got := d.arrived(t, m, alice); !strings.HasPrefix(got.From, "smr0=") || !strings.HasSuffix(got.From, "=partner.example=bob@gw.test") {
		t.Errorf("from %q", got.From)
	}
}
