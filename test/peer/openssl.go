package peer

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testpki"
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

// Decrypt runs `openssl cms -decrypt` with each identity that a recipient info
// may mean.
func (o *OpenSSL) Decrypt(message []byte) (content []byte, err error) {
	object, err := open(message)
	if err != nil {
		return nil, err
	}
	err = fmt.Errorf("no recipient info names an identity of the peer's")
	for _, id := range o.ids {
		if !bytes.Contains(object.der, id.Certificate.SerialNumber.Bytes()) &&
			!bytes.Contains(object.der, id.Certificate.SubjectKeyId) {
			continue
		}
		file := o.file(name(id) + ".pem")
		content, err = run(message, nil, o.program, "cms", "-decrypt", "-recip", file, "-inkey", file)
		if err == nil {
			return content, nil
		}
	}
	return nil, err
}

// Sign runs `openssl cms -sign`.
func (o *OpenSSL) Sign(content []byte, signer *testpki.Identity) ([]byte, error) {
	file := o.file(name(signer) + ".pem")
	return run(content, nil, o.program, "cms", "-sign", "-binary", "-nodetach", "-outform", "DER",
		"-md", "sha256", "-signer", file, "-certfile", o.file(name(signer)+".chain.pem"))
}

// SignClear returns entity in a multipart/signed, which `openssl cms -sign`
// writes.
func (o *OpenSSL) SignClear(entity []byte, signer *testpki.Identity) ([]byte, error) {
	file := o.file(name(signer) + ".pem")
	return run(entity, nil, o.program, "cms", "-sign", "-binary", "-md", "sha256", "-signer", file,
		"-certfile", o.file(name(signer)+".chain.pem"))
}

// Encrypt runs `openssl cms -encrypt`.
func (o *OpenSSL) Encrypt(content []byte, to *testpki.Identity) ([]byte, error) {
	return run(content, nil, o.program, "cms", "-encrypt", "-binary", "-outform", "DER",
		"-aes-256-cbc", o.file(name(to)+".cert.pem"))
}
