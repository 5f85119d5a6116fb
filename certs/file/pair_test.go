package file

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
)

// The two halves of a pair find one another in one file and in two.
func TestPairsOfFiles(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	to := []string{"a@x.org"}
	signs := testpki.Must(ca.Issue(testpki.Leaf{Addresses: to, KeyUsage: x509.KeyUsageDigitalSignature}))
	encrypts := testpki.Must(ca.Issue(testpki.Leaf{Addresses: to, Key: "rsa2048", KeyUsage: x509.KeyUsageKeyEncipherment}))
	dir := t.TempDir()
	for _, folder := range []string{"one", "two"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	first, second := testpki.Must(signs.PEM()), testpki.Must(encrypts.PEM())
	write(t, 0o600, slices.Concat(second, first), dir, "one", "pair.pem")
	write(t, 0o600, first, dir, "two", "sign.pem")
	write(t, 0o600, second, dir, "two", "encrypt.pem")
	for _, folder := range []string{"one", "two"} {
		keys := testpki.Must(OpenIdentities(filepath.Join(dir, folder), "", nil))
		id := testpki.Must(keys.Signing(t.Context(), testpki.Must(address.Parse("a@x.org"))))
		if !id.Certificate.Equal(signs.Certificate) || !slices.ContainsFunc(id.Chain, encrypts.Certificate.Equal) {
			t.Errorf("%s: signs with %v and a chain of %d", folder, id.Certificate.Subject, len(id.Chain))
		}
	}
}
