package directory

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/path"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// The certificate that a partner gave as a file serves for the address that the
// configuration has for it, whatever is in it, and for no other; and it must be good.
func TestAgreed(t *testing.T) {
	t.Parallel()
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	stranger := testpki.Must(testpki.NewCA(testpki.Options{Name: "Stranger"}))
	cert := func(ca *testpki.CA, l testpki.Leaf) []*x509.Certificate {
		id := testpki.Must(ca.Issue(l))
		return append([]*x509.Certificate{id.Certificate}, ca.Certificate)
	}
	validator := testpki.Must(path.NewValidator(path.Config{Anchors: []*x509.Certificate{ca.Root}, Revocation: certs.RevocationOff}))
	for name, c := range map[string]struct {
		certificates []*x509.Certificate
		want         Outcome
	}{
		"of no mailbox":         {cert(ca, testpki.Leaf{Name: "Partner Ltd"}), Usable},
		"of a mailbox":          {cert(ca, testpki.Leaf{Addresses: []string{"mail@elsewhere.example"}}), Usable},
		"not trusted":           {cert(stranger, testpki.Leaf{Addresses: []string{"gateway@partner.example"}}), None},
		"only of the authority": {[]*x509.Certificate{stranger.Certificate}, None},
		"for signatures":        {cert(ca, testpki.Leaf{Key: "rsa2048", KeyUsage: x509.KeyUsageDigitalSignature}), None},
	} {
		file := filepath.Join(t.TempDir(), "partner.pem")
		if err := os.WriteFile(file, testpki.EncodeCertificates(c.certificates...), 0o600); err != nil {
			t.Fatal(err)
		}
		source, err := NewPartnerFile("partner.example", file, addr(t, "gateway@partner.example"))
		if err != nil {
			t.Fatal(err)
		}
		d := open(t, Config{Sources: sources(source), Checker: validator})
		r := d.Lookup(t.Context(), addr(t, "Gateway@partner.example"))
		if r.Outcome != c.want || len(r.Candidates) != 1 {
			t.Errorf("%s: %v, %d candidates: %s", name, r.Outcome, len(r.Candidates), r.Reason())
		}
		if r := d.Lookup(t.Context(), addr(t, "anna@partner.example")); r.Outcome != None || len(r.Candidates) != 0 {
			t.Errorf("%s, another address: %v", name, r.Outcome)
		}
	}
	if _, err := NewPartnerFile("partner.example", filepath.Join(t.TempDir(), "missing.pem"), addr(t, "gateway@partner.example")); err == nil {
		t.Error("a missing file is no error")
	}
}
