package gateway

import (
	"context"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/message"
)

// A copy that must be encrypted and is not does not leave, whatever the engine
// says.
func TestUnencryptedCopyNeverLeaves(t *testing.T) {
	for _, to := range []string{bob, "x@mixed.example"} {
		w := newWorld(t)
		w.gateway.encrypt = func(m *message.Message, _ []*x509.Certificate, _ smime.EncryptOptions) (*message.Message, error) {
			return m, nil
		}
		w.gateway.encryptDraft = func(d *message.Draft, _ []*x509.Certificate, _ smime.EncryptOptions) (*message.Message, error) {
			return d.Message()
		}
		o, err := w.send(to)
		if err == nil || relay.ReplyFor(err).Code != 451 || o != nil {
			t.Errorf("%s: %v, %v", to, o, err)
		}
		if !strings.Contains(w.log.String(), "must be encrypted is not") {
			t.Errorf("%s: the log does not say why:\n%s", to, w.log)
		}
	}
}

// inTheClear is a plan that the rules forbid.
func inTheClear(_ *enforce.Policy, f *enforce.Facts) enforce.Plan {
	var c enforce.Copy
	for i, r := range f.Recipients {
		c.Recipients = append(c.Recipients, enforce.Assigned{Index: i, Address: r.Address, Rule: "enc"})
	}
	return enforce.Plan{Copies: []enforce.Copy{c}}
}

// A plan is checked before it is carried out: of a new message, and of one that
// was held.
func TestPlansAreChecked(t *testing.T) {
	w := newWorld(t)
	w.gateway.decide = inTheClear
	if o, err := w.send(bob); err == nil || relay.ReplyFor(err).Code != 451 || o != nil {
		t.Errorf("sent in the clear: %v, %v", o, err)
	}
	h := relay.Hold{Envelope: *w.envelope("out", "alice@own.example", bob), Message: w.letter(bob),
		Reasons: []string{"none found"}, Since: time.Now(), Until: time.Now().Add(time.Hour)}
	for _, order := range []relay.Order{{}, {Verb: relay.LookAgain, By: "root"}} {
		if o, err := w.gateway.Reconsider(context.Background(), h, order); err == nil || !o.Empty() {
			t.Errorf("released in the clear: %v, %v", o, err)
		}
	}
}
