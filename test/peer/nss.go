package peer

import (
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// NSS is `cmsutil` with a certificate database of its own, the code that
// Thunderbird uses.
type NSS struct {
	cmsutil, dir string
}

// NewNSS prepares NSS to trust the anchor and hold the identities.
func NewNSS(tb testing.TB, ca *testpki.CA, ids ...*testpki.Identity) *NSS {
	tb.Helper()
	n := &NSS{cmsutil: need(tb, "cmsutil", "libnss3-tools"), dir: tb.TempDir()}
	certutil, pk12util := need(tb, "certutil", "libnss3-tools"), need(tb, "pk12util", "libnss3-tools")
	do := func(stdin []byte, program string, args ...string) {
		tb.Helper()
		if _, err := run(stdin, nil, program, append([]string{"-d", "sql:" + n.dir}, args...)...); err != nil {
			tb.Fatal(err)
		}
	}
	add := func(nick, trust string, cert *x509.Certificate) {
		tb.Helper()
		do(cert.Raw, certutil, "-A", "-n", nick, "-t", trust)
	}
	do(nil, certutil, "-N", "--empty-password")
	add("root", "CT,C,C", ca.Root)
	for _, c := range ca.Chain {
		add(c.Subject.CommonName, ",,", c)
	}
	for _, id := range ids {
		file := filepath.Join(n.dir, name(id)+".p12")
		if err := os.WriteFile(file, testpki.Must(id.PKCS12(password)), 0o600); err != nil {
			tb.Fatal(err)
		}
		do(nil, pk12util, "-i", file, "-W", password, "-n", name(id))
	}
	return n
}

// Name returns "NSS".
func (n *NSS) Name() string { return "NSS" }

// Verify runs `cmsutil -D`.
func (n *NSS) Verify(message []byte) ([]byte, error) {
	o, err := open(message)
	if err != nil {
		return nil, err
	}
	args := []string{"-D", "-d", "sql:" + n.dir}
	if o.detached != nil {
		file := filepath.Join(n.dir, "content")
		if err := os.WriteFile(file, o.detached, 0o600); err != nil {
			return nil, err
		}
		args = append(args, "-c", file)
	}
	return run(o.der, nil, n.cmsutil, args...)
}

// Decrypt runs `cmsutil -D`.
func (n *NSS) Decrypt(message []byte) ([]byte, error) {
	o, err := open(message)
	if err != nil {
		return nil, err
	}
	return run(o.der, nil, n.cmsutil, "-D", "-d", "sql:"+n.dir)
}

// Sign runs `cmsutil -S`.
func (n *NSS) Sign(entity []byte, signer *testpki.Identity, a Algorithms) ([]byte, error) {
	if a.Signature == "pss" {
		return nil, fmt.Errorf("cmsutil has no option to sign with PSS")
	}
	return signedData(run(entity, nil, n.cmsutil, "-S", "-d", "sql:"+n.dir, "-N", nickname(signer), "-G",
		"-H", strings.ToUpper(a.digest())))
}

// nssCipher is what cmsutil chooses where it does not know the recipient's
// capabilities.
const nssCipher = "aes-128-cbc"

// Encrypt runs `cmsutil -E`, which chooses the cipher itself.
func (n *NSS) Encrypt(entity []byte, to *testpki.Identity, a Algorithms) ([]byte, error) {
	if a.KeyTransport == "oaep" || a.Cipher != "" && a.Cipher != nssCipher {
		return nil, fmt.Errorf("cmsutil has no option for OAEP, nor for a cipher")
	}
	der, err := run(entity, nil, n.cmsutil, "-E", "-d", "sql:"+n.dir, "-r", nickname(to))
	return envelopedData(der, err, Algorithms{})
}

// nickname is what pk12util calls an identity.
func nickname(id *testpki.Identity) string { return id.Certificate.Subject.CommonName }
