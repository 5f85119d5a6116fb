package gateway

import (
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/enforce"
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
