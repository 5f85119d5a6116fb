package testpki

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"software.sslmate.com/src/go-pkcs12"
)

func TestEveryKindOfKeyVerifies(t *testing.T) {
	root := Must(NewCA(Options{Name: "Root"}))
	sub := Must(root.Intermediate(Options{Name: "Sub", Key: "rsa2048"}))
	roots, inter := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(root.Certificate)
	inter.AddCert(sub.Certificate)
	for _, kind := range []string{"", "rsa2048", "rsa3072", "p256", "p384", "p521", "ed25519", "x25519"} {
		id := Must(sub.Issue(Leaf{Addresses: []string{"a@example.org"}, Key: kind}))
		_, err := id.Certificate.Verify(x509.VerifyOptions{
			Roots: roots, Intermediates: inter, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
		})
		if err != nil {
			t.Errorf("key %q: %v", kind, err)
		}
		if len(id.Certificate.EmailAddresses) != 1 || id.Certificate.EmailAddresses[0] != "a@example.org" {
			t.Errorf("key %q: addresses %q", kind, id.Certificate.EmailAddresses)
		}
		if len(id.Chain) != 1 || id.Chain[0] != sub.Certificate {
			t.Errorf("key %q: chain is not the one intermediate", kind)
		}
	}
	if _, err := root.Issue(Leaf{Key: "dsa"}); err == nil {
		t.Error("an unknown kind of key was made")
	}
	if _, err := NewCA(Options{Key: "x25519"}); err == nil {
		t.Error("an authority was given a key that cannot sign")
	}
}

func TestKeysAreNeverSharedBelowOneRoot(t *testing.T) {
	root := Must(NewCA(Options{Key: "rsa2048"}))
	a := Must(root.Issue(Leaf{Key: "rsa2048"}))
	b := Must(root.Issue(Leaf{Key: "rsa2048"}))
	if a.Key.(*rsa.PrivateKey).Equal(b.Key) || root.Key.(*rsa.PrivateKey).Equal(a.Key) {
		t.Error("two certificates below one root share a key")
	}
}

func TestMailboxesAreWrittenAsAsked(t *testing.T) {
	root := Must(NewCA(Options{}))
	id := Must(root.Issue(Leaf{
		Addresses:    []string{"a b@example.org", "grå@example.org"},
		SubjectEmail: "old@example.org",
	}))
	if got := id.Certificate.EmailAddresses; len(got) != 1 || got[0] != "a b@example.org" {
		t.Errorf("rfc822Names %q", got)
	}
	if !bytes.Contains(id.Certificate.Raw, []byte("grå@example.org")) {
		t.Error("no SmtpUTF8Mailbox")
	}
	var email string
	for _, n := range id.Certificate.Subject.Names {
		if n.Type.Equal(oidEmailAddress) {
			email = n.Value.(string)
		}
	}
	if email != "old@example.org" {
		t.Errorf("emailAddress %q", email)
	}
}

func TestCrossSignedAuthorityHasTwoPaths(t *testing.T) {
	a, b := Must(NewCA(Options{Name: "A"})), Must(NewCA(Options{Name: "B"}))
	cross := Must(b.CrossSign(a, Options{}))
	id := Must(a.Issue(Leaf{}))
	roots, inter := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(b.Certificate)
	inter.AddCert(cross)
	_, err := id.Certificate.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: inter, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		t.Error(err)
	}
}

func TestRevocationList(t *testing.T) {
	root := Must(NewCA(Options{}))
	id := Must(root.Issue(Leaf{Serial: big.NewInt(77)}))
	list := Must(x509.ParseRevocationList(Must(root.CRL(CRL{Revoked: []*x509.Certificate{id.Certificate}, Reason: 1}))))
	if err := list.CheckSignatureFrom(root.Certificate); err != nil {
		t.Fatal(err)
	}
	e := list.RevokedCertificateEntries
	if len(e) != 1 || e[0].SerialNumber.Int64() != 77 || e[0].ReasonCode != 1 {
		t.Errorf("entries %v", e)
	}
}

func TestEncodings(t *testing.T) {
	root := Must(NewCA(Options{}))
	sub := Must(root.Intermediate(Options{Name: "Sub"}))
	id := Must(sub.Issue(Leaf{Key: "ed25519", Addresses: []string{"a@example.org"}}))
	key, cert, chain, err := pkcs12.DecodeChain(Must(id.PKCS12("secret")), "secret")
	if err != nil {
		t.Fatal(err)
	}
	if !key.(ed25519.PrivateKey).Equal(id.Key) || !cert.Equal(id.Certificate) || len(chain) != 1 {
		t.Error("the PKCS #12 file does not hold the identity")
	}
}

func TestOpenSSLAcceptsTheChain(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Fatal("install openssl: apt-get install openssl")
	}
	root := Must(NewCA(Options{Key: "rsa2048"}))
	sub := Must(root.Intermediate(Options{Name: "Sub", PathLen: 1, PermittedEmails: []string{"example.org"}}))
	dir := t.TempDir()
	for name, data := range map[string][]byte{
		"root.pem": EncodeCertificates(root.Certificate),
		"sub.pem":  EncodeCertificates(sub.Certificate),
		"ok.pem":   EncodeCertificates(Must(sub.Issue(Leaf{Addresses: []string{"a@example.org"}})).Certificate),
		"bad.pem":  EncodeCertificates(Must(sub.Issue(Leaf{Addresses: []string{"a@example.com"}})).Certificate),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	verify := func(name string) error {
		cmd := exec.Command("openssl", "verify", "-purpose", "smimesign", "-CAfile", "root.pem", "-untrusted", "sub.pem", name)
		cmd.Dir = dir
		return cmd.Run()
	}
	if err := verify("ok.pem"); err != nil {
		t.Errorf("openssl refuses the chain: %v", err)
	}
	if verify("bad.pem") == nil {
		t.Error("openssl accepts an address outside the name constraint")
	}
}

func TestEditChangesTheTemplate(t *testing.T) {
	root := Must(NewCA(Options{}))
	oid := asn1.ObjectIdentifier{1, 2, 3}
	id := Must(root.Issue(Leaf{Edit: func(c *x509.Certificate) { c.UnknownExtKeyUsage = append(c.UnknownExtKeyUsage, oid) }}))
	if u := id.Certificate.UnknownExtKeyUsage; len(u) != 1 || !u[0].Equal(oid) {
		t.Errorf("unknown purposes %v", u)
	}
}
