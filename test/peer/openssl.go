package peer

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"os"
	"path/filepath"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// OpenSSL is `openssl cms`.
type OpenSSL struct {
	program, dir string
	ids          []*testpki.Identity
}

// NewOpenSSL prepares OpenSSL to trust the anchors and hold the identities.
func NewOpenSSL(tb testing.TB, ca *testpki.CA, ids ...*testpki.Identity) *OpenSSL {
	tb.Helper()
	o := &OpenSSL{program: need(tb, "openssl", "openssl"), dir: tb.TempDir(), ids: ids}
	o.store(tb, "ca.pem", testpki.EncodeCertificates(ca.Root))
	for _, id := range ids {
		o.store(tb, name(id)+".pem", testpki.Must(id.PEM()))
		o.store(tb, name(id)+".cert.pem", id.CertificatePEM())
		o.store(tb, name(id)+".chain.pem", testpki.EncodeCertificates(append(id.Chain, ca.Root)...))
	}
	return o
}

// name makes a file name for an identity.
func name(id *testpki.Identity) string { return id.Certificate.SerialNumber.Text(16) }

func (o *OpenSSL) file(name string) string { return filepath.Join(o.dir, name) }

func (o *OpenSSL) store(tb testing.TB, name string, content []byte) {
	tb.Helper()
	if err := os.WriteFile(o.file(name), content, 0o600); err != nil {
		tb.Fatal(err)
	}
}

// Name returns "OpenSSL".
func (o *OpenSSL) Name() string { return "OpenSSL" }

// Verify runs `openssl cms -verify`.
func (o *OpenSSL) Verify(message []byte) ([]byte, error) {
	return run(message, nil, o.program, "cms", "-verify", "-CAfile", o.file("ca.pem"))
}

// Decrypt runs `openssl cms -decrypt`.
func (o *OpenSSL) Decrypt(message []byte) ([]byte, error) {
	object, err := open(message)
	if err != nil {
		return nil, err
	}
	id, err := object.recipient(o.ids)
	if err != nil {
		return nil, err
	}
	file := o.file(name(id) + ".pem")
	return run(message, nil, o.program, "cms", "-decrypt", "-recip", file, "-inkey", file)
}

// Sign runs `openssl cms -sign`.
func (o *OpenSSL) Sign(entity []byte, signer *testpki.Identity, a Algorithms) ([]byte, error) {
	return signedData(o.sign(entity, signer, a, "-nodetach", "-outform", "DER"))
}

// SignClear returns entity in a multipart/signed.
func (o *OpenSSL) SignClear(entity []byte, signer *testpki.Identity) ([]byte, error) {
	return o.sign(entity, signer, Algorithms{})
}

// SignNocerts returns entity in a multipart/signed without the certificate of the signer.
func (o *OpenSSL) SignNocerts(entity []byte, signer *testpki.Identity) ([]byte, error) {
	return o.sign(entity, signer, Algorithms{}, "-nocerts")
}

func (o *OpenSSL) sign(entity []byte, signer *testpki.Identity, a Algorithms, more ...string) ([]byte, error) {
	args := []string{
		"cms", "-sign", "-binary", "-md", a.digest(), "-signer", o.file(name(signer) + ".pem"),
		"-certfile", o.file(name(signer) + ".chain.pem"),
	}
	if a.Signature == "pss" {
		args = append(args, "-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:-1")
	}
	return run(entity, nil, o.program, append(args, more...)...)
}

// Encrypt runs `openssl cms -encrypt`.
func (o *OpenSSL) Encrypt(entity []byte, to *testpki.Identity, a Algorithms) ([]byte, error) {
	args := []string{
		"cms", "-encrypt", "-binary", "-outform", "DER", "-" + a.cipher(),
		"-recip", o.file(name(to) + ".cert.pem"),
	}
	switch to.Key.(type) {
	case *ecdsa.PrivateKey:
		args = append(args, "-keyopt", "ecdh_kdf_md:sha256")
	case *rsa.PrivateKey:
		if a.KeyTransport == "oaep" {
			args = append(args, "-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256")
		}
	}
	der, err := run(entity, nil, o.program, args...)
	return envelopedData(der, err, a)
}
