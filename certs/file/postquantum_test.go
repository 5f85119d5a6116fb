package file

import (
	"bytes"
	"crypto"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// TestExportPostQuantum: keys of ML-DSA and ML-KEM come back from PKCS #12, and openssl,
// which does not know them, finds the integrity check right and the certificates.
func TestExportPostQuantum(t *testing.T) {
	t.Parallel()
	ca := chained(t)
	p := newTools(t)
	p.write("password", []byte(exportPassword+"\n"))
	for name, key := range map[string]crypto.PrivateKey{
		"ML-DSA-44": testpki.Must(pkix.GenerateMLDSA(pkix.MLDSA44Scheme)), "ML-DSA-87": testpki.Must(pkix.GenerateMLDSA(pkix.MLDSA87Scheme)),
		"ML-KEM-512": testpki.Must(pkix.GenerateKEM("ML-KEM-512")), "ML-KEM-1024": testpki.Must(pkix.GenerateKEM("ML-KEM-1024")),
	} {
		public, _ := pkix.PublicHalf(key)
		id := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"a@x.org"}, PublicKeyInfo: testpki.Must(pkix.MarshalKeyInfo(public))}))
		id.Key = key
		data := testpki.Must(EncodePKCS12((*certs.Identity)(id), exportPassword, Modern))
		wantIdentities(t, name, data, exportPassword, id)
		wantPassword(t, name, data, exportPassword)
		p.write("out.p12", data)
		p.run("openssl", "pkcs12", "-in", "out.p12", "-nokeys", "-passin", "file:password", "-out", "out.pem")
		if n := bytes.Count(p.read("out.pem"), []byte("BEGIN CERTIFICATE")); n != 1+len(id.Chain) {
			t.Errorf("%s: openssl finds %d certificates", name, n)
		}
		if _, err := EncodePKCS12((*certs.Identity)(id), exportPassword, Legacy); err == nil || !strings.Contains(err.Error(), "modern form") {
			t.Errorf("%s, legacy: %v", name, err)
		}
	}
}
