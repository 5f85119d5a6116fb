package path

import (
	"crypto/sha256"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// What was issued after an anchor's date is not trusted, by its notBefore and not by
// the time of judgement.
func TestDistrustAfter(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{NotBefore: time.Now().Add(-1000 * time.Hour)}))
	between := testpki.Must(ca.Intermediate(testpki.Options{}))
	limit := time.Now().Add(-24 * time.Hour)
	v := testpki.Must(NewValidator(Config{
		Anchors: []*x509.Certificate{ca.Root}, Revocation: certs.RevocationOff,
		DistrustAfter: map[[sha256.Size]byte]time.Time{sha256.Sum256(ca.Root.Raw): limit},
	}))
	for name, tt := range map[string]struct {
		notBefore time.Time
		want      certs.Result
	}{
		"before": {limit.Add(-time.Hour), certs.Pass},
		"after":  {limit.Add(time.Hour), certs.Fail},
	} {
		for _, issuer := range []*testpki.CA{ca, between} {
			id := testpki.Must(issuer.Issue(testpki.Leaf{Addresses: []string{"a@b.example"}, NotBefore: tt.notBefore}))
			got := v.Check(t.Context(), id.Certificate, certs.Request{Purpose: certs.ForSigning, Intermediates: id.Chain})
			if got.Result != tt.want || got.Result != certs.Pass && (got.Reason != certs.Untrusted || !strings.Contains(got.Detail, "only for certificates issued up to")) {
				t.Errorf("%s: %+v", name, got)
			}
		}
	}
}
