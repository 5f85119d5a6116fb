package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// An identity is a key with a self-signed certificate.
type identity struct {
	name string
	key  crypto.Signer
	cert *x509.Certificate
}

// identities makes each kind of key once: RSA keys are slow to make.
var identities = struct {
	sync.Mutex
	made map[string]*identity
}{made: make(map[string]*identity)}

// newIdentity returns the identity of a kind: "rsa2048", "rsa3072", "p256",
// "p384", "p521", "ed25519", or one of these with a suffix such as "p256-b" for
// a second one.
func newIdentity(t testing.TB, name string) *identity {
	t.Helper()
	identities.Lock()
	defer identities.Unlock()
	if id := identities.made[name]; id != nil {
		return id
	}
	id := &identity{name: name, key: newKey(t, name)}
	id.cert = selfSigned(t, name, id.key)
	identities.made[name] = id
	return id
}

func newKey(t testing.TB, name string) (key crypto.Signer) {
	t.Helper()
	var err error
	switch name[:4] {
	case "rsa1":
		key, err = rsa.GenerateKey(rand.Reader, 1024)
	case "rsa2":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "rsa3":
		key, err = rsa.GenerateKey(rand.Reader, 3072)
	case "p256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "p384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "p521":
		key, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "p224":
		key, err = ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	case "ed25":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		t.Fatalf("no kind of key %q", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// template is a certificate for signing and encryption.
func template(name string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name, Organization: []string{"cms test"}},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageKeyAgreement | x509.KeyUsageCertSign,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
		SubjectKeyId: []byte("ski of " + name), BasicConstraintsValid: true, IsCA: true,
		EmailAddresses: []string{name + "@example.com"},
	}
}

func selfSigned(t testing.TB, name string, key crypto.Signer) *x509.Certificate {
	t.Helper()
	tmpl := template(name)
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// issueFor returns a certificate for a public key that x509 can not write: one
// for another key is issued, its SubjectPublicKeyInfo replaced, and the result
// signed again by the P-256 identity.
func issueFor(t testing.TB, name string, spki []byte) *x509.Certificate {
	t.Helper()
	ca := newIdentity(t, "p256")
	der, err := x509.CreateCertificate(rand.Reader, template(name), ca.cert, ca.key.Public(), ca.key)
	if err != nil {
		t.Fatal(err)
	}
	old, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	var tbs, cert builder
	c := newCursor(old.RawTBSCertificate)
	c.enter(tagSequence)
	m := tbs.open(tagSequence)
	for c.more() {
		part := c.raw()
		if bytes.Equal(part, old.RawSubjectPublicKeyInfo) {
			part = spki
		}
		tbs.raw(part)
	}
	tbs.close(m)
	sig, err := ca.key.Sign(rand.Reader, sum(crypto.SHA256, tbs), crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	m = cert.open(tagSequence)
	cert.raw(tbs)
	cert.algorithm(oidECDSASHA256, nil)
	cert.tlv(tagBitString, append([]byte{0}, sig...))
	cert.close(m)
	made, err := x509.ParseCertificate(cert)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// spki returns a SubjectPublicKeyInfo.
func spki(oid string, params, key []byte) []byte {
	var b builder
	m := b.open(tagSequence)
	b.algorithm(oid, params)
	b.tlv(tagBitString, append([]byte{0}, key...))
	b.close(m)
	return b
}

func newX25519(t testing.TB) (*ecdh.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key, issueFor(t, "x25519", spki(oidX25519, nil, key.PublicKey().Bytes()))
}

// files writes the certificate and the key as PEM.
func (id *identity) files(t testing.TB, dir string) (certFile, keyFile string) {
	t.Helper()
	return pemFiles(t, dir, id.name, id.cert, id.key)
}

func pemFiles(t testing.TB, dir, name string, cert *x509.Certificate, key any) (certFile, keyFile string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	writeFile(t, certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
	writeFile(t, keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	return certFile, keyFile
}

func writeFile(t testing.TB, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
