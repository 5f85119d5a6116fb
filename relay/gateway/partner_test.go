package gateway

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/message"
)

// gatewaysLetter is what the gateway of enc.example signs for an author.
func (w *world) gatewaysLetter(author string, signer *certs.Identity) *message.Message {
	w.t.Helper()
	m, err := smime.Sign(parseMessage(w.t, "From: "+author+"\nTo: alice@own.example\nSubject: hello\nDate: Thu, 1 Jan 2026 09:00:00 +0000\n\n"+text+"\n"),
		signer, smime.SignOptions{Time: time.Now()})
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// A signature of the partner's gateway passes for authors of its domain, and says so;
// without the agreement, for another domain, and by another it does not.
func TestDomainSignature(t *testing.T) {
	w := newWorld(t)
	signer := w.issue("gateway@enc.example")
	expired := (*certs.Identity)(testpki.Must(w.ca.Issue(testpki.Leaf{Addresses: []string{"gateway@enc.example"}, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-24 * time.Hour)})))
	stranger := (*certs.Identity)(testpki.Must(testpki.Must(testpki.NewCA(testpki.Options{})).Issue(testpki.Leaf{Addresses: []string{"gateway@enc.example"}})))
	agreed := testpki.Must(enforce.CompilePartners([]enforce.Partner{{Domain: "enc.example", Signers: []string{"gateway@enc.example"}}}))
	for name, tt := range map[string]struct {
		partners *enforce.Partners
		author   string
		signer   *certs.Identity
		want     string
	}{
		"agreed":             {agreed, bob, signer, "pass"},
		"not agreed":         {nil, bob, signer, "fail"},
		"another domain":     {agreed, "erin@other.example", signer, "fail"},
		"a subdomain":        {agreed, "erin@sub.enc.example", signer, "fail"},
		"expired":            {agreed, bob, expired, "fail"},
		"untrusted":          {agreed, bob, stranger, "fail"},
		"a colleague signed": {agreed, bob, w.issue("mallory@enc.example"), "fail"},
		"two authors":        {agreed, bob + ", erin@other.example", signer, "fail"},
	} {
		w.config.Partners = tt.partners
		w.start()
		got := w.receive(w.gatewaysLetter(tt.author, tt.signer))
		if word := statusWord(got); word != tt.want {
			t.Errorf("%s: %s: %s", name, word, got.Get(statusField))
		}
		results, status := got.Get(resultsField), got.Get(statusField)
		said := strings.Contains(results, "domain-signature) ") && strings.HasSuffix(results, " policy.signer=gateway@enc.example") && strings.HasSuffix(status, "; reason=domain-signature")
		if said != (tt.want == "pass") || strings.Contains(results+status, "domain-signature") != said {
			t.Errorf("%s:\n%s\n%s", name, results, status)
		}
	}
}

// The author's own signature needs no agreement, and does not mention one.
func TestOwnSignatureOfAPartner(t *testing.T) {
	w := newWorld(t)
	w.config.Partners = testpki.Must(enforce.CompilePartners([]enforce.Partner{{Domain: "enc.example", Signers: []string{bob}}}))
	w.start()
	got := w.receive(w.bobsLetter(""))
	if statusWord(got) != "pass" || strings.Contains(got.Get(resultsField)+got.Get(statusField), "domain-signature") {
		t.Errorf("%s\n%s", got.Get(resultsField), got.Get(statusField))
	}
}

// Where a recipient has no certificate, that of the partner's gateway serves, for the
// domain of the partner only; explain shows both lookups.
func TestDomainCertificateOfAPartner(t *testing.T) {
	w := newWorld(t)
	gw := w.issue("gateway@enc.example")
	w.dir.results["gateway@enc.example"] = directory.Result{Outcome: directory.Usable, Certificates: []*x509.Certificate{gw.Certificate},
		Candidates: []directory.Candidate{{Certificate: gw.Certificate, Source: "fake"}}}
	w.config.Partners = testpki.Must(enforce.CompilePartners([]enforce.Partner{{Domain: "enc.example", Certificate: "gateway@enc.example", Contact: "it@enc.example"}}))
	w.start()
	reads := func(m *message.Message, id *certs.Identity) bool {
		return smime.Open(t.Context(), m, smime.OpenOptions{Keys: certs.NewKeys(time.Now, id), At: time.Now()}).Decrypted
	}
	for to, toGateway := range map[string]bool{dave: true, bob: false} {
		o := testpki.Must(w.send(to))
		if len(o.Deliveries) != 1 || reads(o.Deliveries[0].Message, gw) != toGateway {
			t.Errorf("%s: %s", to, w.outline(o))
		}
	}
	if o, err := w.send(bob, "x@prefer.example", "any@strip.example"); err != nil || len(o.Stripped) != 1 {
		t.Errorf("another domain: %v, %v", o, err)
	}
	x := testpki.Must(w.gateway.Explain(t.Context(), w.envelope("", "alice@own.example", dave), nil))
	r := x.Recipients[0]
	if r.Partner == nil || r.Partner.Contact != "it@enc.example" || r.Outcome != "signed, encrypted" || !strings.Contains(r.Reason, "domain certificate") || len(r.Candidates) != 2 || r.Candidates[0].Used || !r.Candidates[1].Used {
		t.Errorf("%+v", r)
	}
	delete(w.dir.results, "gateway@enc.example")
	if o := testpki.Must(w.send(dave)); len(o.Refused) != 1 || !strings.Contains(fault.Of(o.Refused[0].Err).Public, "contact for enc.example: it@enc.example") {
		t.Errorf("without it: %s", w.outline(o))
	}
}

// Mail of the partner's authors must meet what is agreed, besides what rules ask.
func TestMinimumOfAPartner(t *testing.T) {
	w := newWorld(t)
	w.config.Profiles = map[string]Profile{"strong": {MinimumDigest: "sha-512"}}
	w.config.Partners = testpki.Must(enforce.CompilePartners([]enforce.Partner{{Domain: "enc.example", Minimum: "strong", Contact: "it@enc.example"}}))
	w.config.InboundPolicy = testpki.Must(enforce.CompileInbound([]enforce.InboundRule{{Name: "kept", Result: []string{"fail"}, OnResult: "quarantine", Notify: []string{enforce.NotifyRecipient}}}))
	w.start()
	if got := w.receive(w.bobsLetter("")); statusWord(got) != "policy" || !strings.Contains(got.Get(statusField), "below-minimum") {
		t.Errorf("%s", got.Get(statusField))
	}
	o := w.arrives(w.changed(), alice)
	if len(o.Notices) != 1 || !strings.Contains(decodedText(t, o.Notices[0].Message), "contact for enc.example: it@enc.example") {
		t.Errorf("%s", w.outline(o))
	}
	w.config.Profiles = nil
	if _, err := New(w.config); err == nil || !strings.Contains(err.Error(), "strong") {
		t.Errorf("a profile that does not exist: %v", err)
	}
}

// decodedText is the text of a message without its transfer encoding.
func decodedText(t testing.TB, m *message.Message) string {
	t.Helper()
	var b strings.Builder
	m.Root().Walk(func(p *message.Part) bool {
		if text, err := p.Decode(); err == nil && len(p.Children) == 0 {
			b.Write(text)
		}
		return true
	})
	return b.String()
}
