package file

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"io"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

const exportPassword = "Wörter, viele"

var encodings = map[string]PKCS12{"modern": Modern, "legacy": Legacy}

// TestExportForOpenSSL has openssl read every kind of key, and wants the same key
// and certificates of it.
func TestExportForOpenSSL(t *testing.T) {
	t.Parallel()
	ca := chained(t)
	p := newTools(t)
	p.write("password", []byte(exportPassword+"\n"))
	for _, kind := range keyKinds {
		id := testpki.Must(ca.Issue(testpki.Leaf{Key: kind, Addresses: []string{"a@x.org"}}))
		for name, how := range encodings {
			data := testpki.Must(EncodePKCS12((*certs.Identity)(id), exportPassword, how))
			p.write("out.p12", data)
			p.run("openssl", "pkcs12", "-in", "out.p12", "-nodes", "-passin", "file:password", "-out", "out.pem")
			wantPEM(t, kind+" "+name, p.read("out.pem"), id)
			if kind == "p256" { // the others differ by what is under the password
				wantIdentities(t, kind+" "+name, data, exportPassword, id)
				wantPassword(t, name, data, exportPassword)
			}
		}
		p.write("out.pem", testpki.Must(EncodePEM((*certs.Identity)(id), exportPassword)))
		p.run("openssl", "pkcs8", "-in", "out.pem", "-passin", "file:password", "-out", "key.pem")
		wantPEM(t, kind+" pem", append(p.read("key.pem"), id.CertificatePEM()...), id)
		wantIdentities(t, kind+" pem", p.read("out.pem"), exportPassword, id)
		if kind == "p256" {
			wantPassword(t, "pem", p.read("out.pem"), exportPassword)
		}
	}
}

// wantPEM looks for the identity in PEM without a password.
func wantPEM(t *testing.T, name string, data []byte, id *testpki.Identity) {
	t.Helper()
	key, certificates := false, 0
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		switch block.Type {
		case "PRIVATE KEY":
			k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
			key = err == nil && (&certs.Identity{Key: k, Certificate: id.Certificate}).Check() == nil
		case "CERTIFICATE":
			certificates++
		}
	}
	if !key || certificates != 1+len(id.Chain) {
		t.Errorf("%s: key %t, %d certificates", name, key, certificates)
	}
}

// TestExportForNSS imports into a database of Mozilla's and exports from it again.
// NSS 3.87 knows no Ed25519 and no X25519 keys.
func TestExportForNSS(t *testing.T) {
	t.Parallel()
	ca := chained(t)
	p := newTools(t)
	p.run("certutil", "-N", "-d", "sql:.", "--empty-password")
	for _, kind := range []string{"rsa2048", "p256", "p384", "p521"} {
		for name, how := range encodings {
			id := testpki.Must(ca.Issue(testpki.Leaf{Key: kind, Name: kind + name, Addresses: []string{"a@x.org"}}))
			p.write("out.p12", testpki.Must(EncodePKCS12((*certs.Identity)(id), exportPassword, how)))
			p.run("pk12util", "-i", "out.p12", "-d", "sql:.", "-W", exportPassword)
			if keys := p.input("", "certutil", "-K", "-d", "sql:."); !strings.Contains(keys, kind+name) {
				t.Errorf("%s %s: not among the keys:\n%s", kind, name, keys)
			}
		}
	}
}

// TestExportForJava has keytool list a key and its chain.
func TestExportForJava(t *testing.T) {
	t.Parallel()
	ca := chained(t)
	p := newTools(t)
	for _, kind := range []string{"rsa2048", "p384", "ed25519"} {
		id := testpki.Must(ca.Issue(testpki.Leaf{Key: kind, Addresses: []string{"a@x.org"}}))
		for name, how := range encodings {
			p.write("out.p12", testpki.Must(EncodePKCS12((*certs.Identity)(id), "of Java", how)))
			if name == "modern" && kind == "p384" { // what is listed does not depend on the key
				list := p.keytool("-list", "-v", "-keystore", "out.p12", "-storetype", "PKCS12", "-storepass", "of Java")
				if !strings.Contains(list, "PrivateKeyEntry") || !strings.Contains(list, "Certificate chain length: 2") {
					t.Errorf("%s:\n%s", kind, list)
				}
			}
			// Making a request needs the private key.
			p.keytool("-certreq", "-alias", "1", "-keystore", "out.p12", "-storetype", "PKCS12", "-storepass", "of Java", "-file", "request.pem")
			p.run("openssl", "req", "-in", "request.pem", "-verify", "-noout")
		}
	}
}

func TestPlainPEMIsNotEncrypted(t *testing.T) {
	id := testpki.Must(testpki.Must(testpki.NewCA(testpki.Options{})).Issue(testpki.Leaf{}))
	data := testpki.Must(EncodePEM((*certs.Identity)(id), ""))
	wantPEM(t, "plain", data, id)
	if bytes.Contains(data, []byte("ENCRYPTED")) {
		t.Error("encrypted")
	}
}

// heldKey is a key that cannot be had as a value.
type heldKey struct{ public crypto.PublicKey }

func (k heldKey) Public() crypto.PublicKey { return k.public }

func (heldKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, io.EOF }

func TestKeysInTokensAreNotExported(t *testing.T) {
	id := testpki.Must(testpki.Must(testpki.NewCA(testpki.Options{})).Issue(testpki.Leaf{}))
	held := &certs.Identity{Certificate: id.Certificate, Key: heldKey{id.Certificate.PublicKey}}
	if _, err := EncodePKCS12(held, exportPassword, Modern); err == nil || !strings.Contains(err.Error(), "token") {
		t.Errorf("PKCS #12: %v", err)
	}
	if _, err := EncodePEM(held, exportPassword); err == nil || !strings.Contains(err.Error(), "token") {
		t.Errorf("PEM: %v", err)
	}
}

func TestPasswordsThatPKCS12CannotHold(t *testing.T) {
	id := testpki.Must(testpki.Must(testpki.NewCA(testpki.Options{})).Issue(testpki.Leaf{}))
	for _, password := range []string{"a key \U0001f511", "\xff\xfe and more"} {
		if _, err := EncodePKCS12((*certs.Identity)(id), password, Modern); err == nil || !strings.Contains(err.Error(), "export PEM") {
			t.Errorf("%q: %v", password, err)
		}
		wantIdentities(t, password, testpki.Must(EncodePEM((*certs.Identity)(id), password)), password, id)
	}
}

func TestCheckPassword(t *testing.T) {
	for password, want := range map[string]string{
		"": "empty", "1234567": "7 characters", "ÄÖÜäöüß": "7 characters", "12345678": "", "ÄÖÜäöüßẞ": "",
	} {
		err := CheckPassword(password)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", password, err)
		}
	}
}
