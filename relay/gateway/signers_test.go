package gateway

import (
	"crypto/x509"
	"testing"

	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// TestSignersThatMessagesDoNotBring: they are looked for in the configuration, among
// the identities, and in the directories of the author, in this order.
func TestSignersThatMessagesDoNotBring(t *testing.T) {
	w := newWorld(t)
	trusted, harvested, nowhere := w.issue("t@enc.example").Certificate, w.issue("h@enc.example").Certificate, w.issue("n@enc.example").Certificate
	w.dir.results["h@enc.example"] = directory.Result{Outcome: directory.Usable, Candidates: []directory.Candidate{{Certificate: nowhere}, {Certificate: harvested}}}
	own := w.keys.Identities()[0].Certificate
	find := func(c *x509.Certificate, author string) ([]*x509.Certificate, error) {
		var a address.Address
		if author != "" {
			a = w.addr(author)
		}
		return w.gateway.signers(t.Context(), cms.CertificateID(c), a)
	}
	if found, err := find(trusted, ""); len(found) != 0 || err != nil {
		t.Errorf("without certificates in the configuration: %v, %v", found, err)
	}
	w.config.Trusted = func(id cms.ID) []*x509.Certificate {
		if id.Matches(trusted) {
			return []*x509.Certificate{trusted}
		}
		return nil
	}
	w.start()
	for _, tt := range []struct {
		certificate *x509.Certificate
		author      string
		found       bool
	}{
		{trusted, "", true}, {own, "", true}, {harvested, "h@enc.example", true}, {harvested, "", false}, {nowhere, bob, false},
	} {
		found, err := find(tt.certificate, tt.author)
		if err != nil || len(found) > 1 || len(found) == 1 && !found[0].Equal(tt.certificate) || tt.found != (len(found) == 1) {
			t.Errorf("%v by %q: %d found, %v", tt.certificate.EmailAddresses, tt.author, len(found), err)
		}
	}
	if _, err := find(nowhere, erin); err == nil {
		t.Error("a directory that is unavailable has no signer")
	}
}
