package gateway

import (
	"crypto/x509"
	"testing"

	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/relay"
)

// A certificate that cannot be encrypted to, whatever the lookup said, is its
// owner's trouble and no other recipient's.
func TestUnfitCertificateDelaysNobodyElse(t *testing.T) {
	w := newWorld(t)
	signing := testpki.Must(w.ca.Issue(testpki.Leaf{Addresses: []string{carol}, Key: "ed25519"})).Certificate
	r := w.dir.results[carol]
	r.Outcome, r.Certificates = directory.Usable, append(r.Certificates[:0:0], signing)
	w.dir.results[carol] = r
	o, err := w.send(bob, carol)
	if err != nil {
		t.Fatalf("all are refused: %v", err)
	}
	if len(o.Deliveries) != 1 || len(o.Deliveries[0].Recipients) != 1 || o.Deliveries[0].Recipients[0].Address.String() != bob {
		t.Errorf("delivered: %+v", o.Deliveries)
	}
	if len(o.Refused) != 1 || o.Refused[0].Recipient.Address.String() != carol || relay.ReplyFor(o.Refused[0].Err).Code != 550 {
		t.Errorf("refused: %+v", o.Refused)
	}
	if o, err := w.send(carol); err == nil && len(o.Deliveries) > 0 {
		t.Error("sent to a certificate that cannot be encrypted to")
	}
}

// Of what is held, as well: who waits on waits alone.
func TestUnfitCertificateKeepsNobodyElseWaiting(t *testing.T) {
	w := newWorld(t)
	first := w.expect([]string{late, never}, "held late@hold.example no valid S/MIME certificate for late@hold.example: "+reason+
		"\nheld never@hold.example no valid S/MIME certificate for never@hold.example: "+reason)
	w.appear(late)
	signing := testpki.Must(w.ca.Issue(testpki.Leaf{Addresses: []string{never}, Key: "ed25519"})).Certificate
	w.dir.results[never] = directory.Result{Outcome: directory.Usable, Certificates: []*x509.Certificate{signing}}
	o := w.again(first.Held, relay.Order{})
	if len(o.Deliveries) != 1 || len(o.Deliveries[0].Recipients) != 1 || o.Deliveries[0].Recipients[0].Address.String() != late {
		t.Errorf("delivered: %+v", o.Deliveries)
	}
	if o.Held == nil || len(o.Held.Envelope.Recipients) != 1 || o.Held.Envelope.Recipients[0].Address.String() != never {
		t.Errorf("held: %+v", o.Held)
	}
}

// What leaves a hold, copies and reports, is joined to its message in the log.
func TestReleasedCopiesAreNamed(t *testing.T) {
	w := newWorld(t)
	h := w.expect([]string{late}, "held late@hold.example no valid S/MIME certificate for late@hold.example: "+reason).Held
	h.Envelope.QueueID, h.Envelope.MessageID = "4XYZ", "<m@own.example>"
	want := h.Envelope.Origin()
	if want.ID == "" {
		t.Fatal("the envelope has no id")
	}
	given := w.again(h, relay.Order{Verb: relay.GiveBack})
	w.appear(late)
	released := w.again(h, relay.Order{})
	if len(given.Notices) != 1 || len(released.Deliveries) != 1 {
		t.Fatalf("%d reports, %d copies", len(given.Notices), len(released.Deliveries))
	}
	for _, d := range []relay.Delivery{given.Notices[0], released.Deliveries[0]} {
		if d.Origin != want {
			t.Errorf("delivery to %v came of %+v, want %+v", d.Recipients, d.Origin, want)
		}
	}
}
