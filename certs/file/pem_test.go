package file_test

import (
	"bytes"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// TestNoPEMBlockIsPassedOver reads files with a byte order mark, which count in
// full, and files with a damaged block, which are refused: a list, an anchor, a
// recipient or a key that is left out without a word changes a verdict.
func TestNoPEMBlockIsPassedOver(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{Name: "PEM CA"}))
	id := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"alice@example.org"}}))
	crl := testpki.EncodeCRL(testpki.Must(ca.CRL(testpki.CRL{})))
	key := testpki.Must(id.KeyPEM())
	certificate := id.CertificatePEM()
	name := filepath.Join(t.TempDir(), "file.pem")
	write := func(parts ...[]byte) {
		if err := os.WriteFile(name, bytes.Join(parts, nil), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mark := []byte("\xef\xbb\xbf")
	readers := map[string]struct {
		block []byte
		count func() (int, error)
	}{
		"certificates": {certificate, func() (int, error) { l, err := file.ReadCertificates(name); return len(l), err }},
		"lists":        {crl, func() (int, error) { l, err := file.ReadCRLs(name); return len(l), err }},
		"large lists":  {crl, func() (int, error) { l, err := file.OpenLists(name, ""); return len(l), err }},
	}
	other := testpki.EncodeCertificates(ca.Certificate)
	for kind, r := range readers {
		first := map[bool][]byte{true: crl, false: other}[strings.HasSuffix(kind, "lists")]
		write(mark, r.block, first)
		if n, err := r.count(); n != 2 || err != nil {
			t.Errorf("%s behind a mark: %d of 2, %v", kind, n, err)
		}
		write(damage(r.block), first)
		if n, err := r.count(); err == nil || !strings.Contains(err.Error(), "block 1") {
			t.Errorf("%s with a damaged first block: %d, %v", kind, n, err)
		}
		write(first, damage(r.block))
		if n, err := r.count(); err == nil || !strings.Contains(err.Error(), "block 2") {
			t.Errorf("%s with a damaged last block: %d, %v", kind, n, err)
		}
	}
	write(mark, key, certificate)
	if c, err := file.ReadContents(name, ""); err != nil || len(c.Identities) != 1 {
		t.Errorf("a key behind a mark: %v", err)
	}
	if ids, err := file.ReadIdentities(name, ""); err != nil || len(ids) != 1 {
		t.Errorf("an identity behind a mark: %v", err)
	}
	write(damage(key), certificate)
	if c, err := file.ReadContents(name, ""); err == nil {
		t.Errorf("a damaged key: %d identities, %d certificates, no error", len(c.Identities), len(c.Certificates))
	}
}

// damage breaks the base64 of a PEM block.
func damage(block []byte) []byte {
	out := bytes.Clone(block)
	out[len(out)/2] = '*'
	return out
}

func TestTrustedCertificate(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{Name: "PEM CA"}))
	cmd := exec.Command("openssl", "x509", "-trustout", "-addtrust", "emailProtection", "-setalias", "mine")
	cmd.Stdin = bytes.NewReader(testpki.EncodeCertificates(ca.Certificate))
	text, err := cmd.Output()
	if err != nil || !bytes.Contains(text, []byte("BEGIN TRUSTED CERTIFICATE")) {
		t.Fatalf("openssl x509 -trustout: %v: %s", err, text)
	}
	list, err := file.ParseCertificates(text)
	if err != nil || len(list) != 1 || !bytes.Equal(list[0].Raw, (*x509.Certificate)(ca.Certificate).Raw) {
		t.Errorf("%d certificates, %v", len(list), err)
	}
}
