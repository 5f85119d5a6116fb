package smime

import (
	"crypto/x509"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// TestPairs: who signs with a key that only signs tells which certificate is to be
// encrypted to, and sends it along.
func TestPairs(t *testing.T) {
	w := newWorld(t)
	half := func(usage x509.KeyUsage) *certs.Identity {
		id := testpki.Must(w.ca.Issue(testpki.Leaf{Addresses: []string{"alice@example.org"}, KeyUsage: usage}))
		return &certs.Identity{Certificate: id.Certificate, Chain: id.Chain, Key: id.Key}
	}
	sub := testpki.Must(w.ca.Intermediate(testpki.Options{Name: "below"}))
	signs, encrypts := half(x509.KeyUsageDigitalSignature), half(x509.KeyUsageKeyAgreement)
	preferred := func() *cms.ID {
		t.Helper()
		object, err := w.sign(t, mail(t, samples["multipart"]), signs, SignOptions{Opaque: true}).Root().Decode()
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := cms.ParseSignedData(object)
		if err != nil {
			t.Fatal(err)
		}
		signers := parsed.Verify(cms.VerifyOptions{})
		if len(signers) != 1 || signers[0].Err != nil {
			t.Fatalf("%+v", signers)
		}
		return signers[0].EncryptionID
	}
	signs.Chain = []*x509.Certificate{sub.Certificate}
	if got := preferred(); got != nil {
		t.Errorf("alone: replies are to be encrypted to %v", got)
	}
	signs.Chain = []*x509.Certificate{sub.Certificate, encrypts.Certificate}
	if got := preferred(); got == nil || !got.Matches(encrypts.Certificate) {
		t.Errorf("replies are to be encrypted to %v", got)
	}
	// The newest that is valid counts, and one that is self-signed goes along.
	past := testpki.Must(w.ca.Issue(testpki.Leaf{Addresses: []string{"alice@example.org"}, KeyUsage: x509.KeyUsageKeyAgreement, NotAfter: w.now.Add(-time.Hour)}))
	signs.Chain = []*x509.Certificate{past.Certificate, encrypts.Certificate}
	if got := preferred(); got == nil || !got.Matches(encrypts.Certificate) {
		t.Errorf("beside an expired one, replies are to be encrypted to %v", got)
	}
}
