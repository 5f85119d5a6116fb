package peer

import (
	"crypto/fips140"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// GnuPG is gpgsm with a home of its own.
type GnuPG struct {
	program, home string
}

const password = "test"

// NewGnuPG prepares gpgsm to trust the anchor and hold the identities. Of those
// with an EC key it gets the certificates only: gpgsm 2.2.40 crashes when it
// imports such a key. It reads PKCS #12 in the old encryption only.
func NewGnuPG(tb testing.TB, ca *testpki.CA, ids ...*testpki.Identity) *GnuPG {
	tb.Helper()
	// The agent's socket path holds 108 octets at most.
	home, err := os.MkdirTemp("", "gpg")
	if err != nil {
		tb.Fatal(err)
	}
	g := &GnuPG{program: need(tb, "gpgsm", "gpgsm"), home: home}
	tb.Cleanup(func() {
		if _, err := run(nil, nil, "gpgconf", "--homedir", home, "--kill", "all"); err != nil {
			tb.Error(err)
		}
		os.RemoveAll(home)
	})
	anchor := sha1Of(ca.Root)
	for name, text := range map[string]string{
		"gpgsm.conf": "disable-crl-checks\nbatch\nno-tty\n",
		// The agent would derive a key for a tenth of a second each time that it uses one.
		"gpg-agent.conf": "allow-loopback-pinentry\ns2k-count 65536\n",
		"trustlist.txt":  anchor + " S relax\n",
	} {
		if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	g.load(tb, testpki.EncodeCertificates(append(ca.Chain, ca.Root)...))
	for _, id := range ids {
		if _, isRSA := id.Key.(*rsa.PrivateKey); isRSA {
			g.loadKey(tb, id)
		} else {
			g.load(tb, id.CertificatePEM())
		}
	}
	return g
}

// loadKey imports an identity, in a few attempts: gpgsm 2.2.40 takes about one
// file in a hundred for one with another password, by the octets that its salt
// happens to lead to.
func (g *GnuPG) loadKey(tb testing.TB, id *testpki.Identity) {
	tb.Helper()
	var err error
	for range 5 {
		var file []byte
		fips140.WithoutEnforcement(func() {
			file = testpki.Must(pkcs12.LegacyDES.Encode(id.Key, id.Certificate, id.Chain, password))
		})
		if _, err = g.gpgsm(file, "--import"); err == nil {
			return
		}
	}
	tb.Fatal(err)
}

func (g *GnuPG) load(tb testing.TB, content []byte) {
	tb.Helper()
	if _, err := g.gpgsm(content, "--import"); err != nil {
		tb.Fatal(err)
	}
}

// gpgsm runs a command on content, which it gets as a file: standard input is
// for the password.
func (g *GnuPG) gpgsm(content []byte, args ...string) ([]byte, error) {
	file, err := os.CreateTemp(g.home, "input")
	if err != nil {
		return nil, err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	if _, err := file.Write(content); err != nil {
		return nil, err
	}
	env := []string{"GNUPGHOME=" + g.home, "LC_ALL=C"}
	args = append([]string{"--pinentry-mode", "loopback", "--passphrase-fd", "0"}, append(args, file.Name())...)
	return run([]byte(password), env, g.program, args...)
}

// Name returns "GnuPG".
func (g *GnuPG) Name() string { return "GnuPG" }

// Verify runs `gpgsm --verify`.
func (g *GnuPG) Verify(message []byte) ([]byte, error) {
	o, err := open(message)
	if err != nil {
		return nil, err
	}
	if o.detached == nil {
		return g.gpgsm(o.der, "--output", "-", "--verify")
	}
	signature := filepath.Join(g.home, "signature")
	if err := os.WriteFile(signature, o.der, 0o600); err != nil {
		return nil, err
	}
	_, err = g.gpgsm(o.detached, "--verify", signature)
	return o.detached, err
}

// Decrypt runs `gpgsm --decrypt`.
func (g *GnuPG) Decrypt(message []byte) ([]byte, error) {
	o, err := open(message)
	if err != nil {
		return nil, err
	}
	return g.gpgsm(o.der, "--decrypt")
}

// Sign runs `gpgsm --sign`.
func (g *GnuPG) Sign(entity []byte, signer *testpki.Identity, a Algorithms) ([]byte, error) {
	if a.Signature == "pss" {
		return nil, fmt.Errorf("gpgsm has no option to sign with PSS")
	}
	return signedData(g.gpgsm(entity, "--digest-algo", a.digest(), "--local-user", fingerprint(signer), "--sign"))
}

// Encrypt runs `gpgsm --encrypt`.
func (g *GnuPG) Encrypt(entity []byte, to *testpki.Identity, a Algorithms) ([]byte, error) {
	oid, ok := gnupgCiphers[a.cipher()]
	if !ok || a.KeyTransport == "oaep" {
		return nil, fmt.Errorf("gpgsm has no option for %s with %s", a.cipher(), a.KeyTransport)
	}
	der, err := g.gpgsm(entity, "--cipher-algo", oid, "--recipient", fingerprint(to), "--encrypt")
	return envelopedData(der, err, a)
}

var gnupgCiphers = map[string]string{
	"aes-128-cbc": "2.16.840.1.101.3.4.1.2",
	"aes-192-cbc": "2.16.840.1.101.3.4.1.22",
	"aes-256-cbc": "2.16.840.1.101.3.4.1.42",
}

func fingerprint(id *testpki.Identity) string {
	return sha1Of(id.Certificate)
}

// sha1Of is by what GnuPG names a certificate, also where FIPS 140-3 is enforced.
func sha1Of(c *x509.Certificate) (name string) {
	fips140.WithoutEnforcement(func() { name = fmt.Sprintf("%X", sha1.Sum(c.Raw)) })
	return name
}
