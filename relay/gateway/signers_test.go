package gateway

import (
	"crypto/x509"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// TestSignersThatMessagesDoNotBring: they are looked for in the configuration, among
// the identities, and in the directories of the author and of those who sign for the
// author's domain, in this order.
func TestSignersThatMessagesDoNotBring(t *testing.T) {
	w := newWorld(t)
	trusted, harvested, nowhere := w.issue("t@enc.example").Certificate, w.issue("h@enc.example").Certificate, w.issue("n@enc.example").Certificate
	w.dir.results["h@enc.example"] = directory.Result{Outcome: directory.Usable, Candidates: []directory.Candidate{{Certificate: nowhere}, {Certificate: harvested}}}
	partners := w.issue("gateway@agreed.example").Certificate
	w.dir.results["gateway@agreed.example"] = directory.Result{Outcome: directory.Usable, Candidates: []directory.Candidate{{Certificate: partners}}}
	w.config.Partners = testpki.Must(enforce.CompilePartners([]enforce.Partner{{Domain: "agreed.example", Signers: []string{"dns:agreed.example", "gateway@agreed.example"}}}))
	w.start()
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
		{partners, "anna@agreed.example", true}, {partners, "anna@sub.agreed.example", false}, {partners, "", false},
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

// TestHostSigner: the certificate of a Direct domain, which names a host and no address,
// signs for the domain's authors where the agreement names it, and for no one else.
func TestHostSigner(t *testing.T) {
	w := newWorld(t)
	clinic := (*certs.Identity)(testpki.Must(w.ca.Issue(testpki.Leaf{Name: "clinic", Edit: func(c *x509.Certificate) { c.DNSNames = []string{"clinic.example"} }})))
	letter := func(author string, o smime.SignOptions) *message.Message {
		o.Time = time.Now()
		m := parseMessage(t, "From: "+author+"\nTo: alice@own.example\nSubject: hello\nDate: Thu, 1 Jan 2026 09:00:00 +0000\nContent-Type: text/plain\n\n"+text+"\n")
		return testpki.Must(smime.Sign(m, clinic, o))
	}
	agreed := testpki.Must(enforce.CompilePartners([]enforce.Partner{{Domain: "clinic.example", Signers: []string{"dns:clinic.example"}}}))
	for _, tt := range []struct {
		partners     *enforce.Partners
		author, want string
	}{
		{agreed, "anna@clinic.example", "pass"}, {nil, "anna@clinic.example", "fail"},
		{agreed, "anna@sub.clinic.example", "fail"}, {agreed, "anna@other.example", "fail"},
	} {
		w.config.Partners = tt.partners
		w.start()
		for _, o := range []smime.SignOptions{{}, {Wrapped: true}} { // as the profile "direct" wraps it
			if m := w.receive(letter(tt.author, o)); statusWord(m) != tt.want {
				t.Errorf("%s, agreed %v, wrapped %v: %s", tt.author, tt.partners != nil, o.Wrapped, m.Get(statusField))
			}
		}
	}
}
