package gateway

import (
	"testing"

	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/relay"
)

// A certificate that cannot be encrypted to, whatever the lookup said, is its
// owner's trouble and nobody else's.
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
