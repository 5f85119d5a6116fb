//go:build cgo

package hsm

import (
	"bytes"
	"context"
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/path"
	"github.com/smimerelay/smimerelay/certs/token"
	"github.com/smimerelay/smimerelay/internal/testing/softhsmtest"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
	"github.com/smimerelay/smimerelay/test/peer"
)

const (
	alice   = "alice@example.org" // has the RSA key
	bob     = "bob@example.org"   // has the P-256 key
	content = "Content-Type: text/plain; charset=utf-8\r\n\r\nwhat only the token opens\r\n"
)

// world is an authority and two identities in a token.
type world struct {
	token   *softhsmtest.Token
	ca      *testpki.CA
	certs   map[string]*x509.Certificate
	keys    *token.Keys
	checker certs.Checker
}

// newWorld makes the token; the certificate of bob is not in it.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{token: softhsmtest.New(t), ca: testpki.Must(testpki.NewCA(testpki.Options{})), certs: map[string]*x509.Certificate{}}
	w.token.Do(t, func(s *softhsmtest.Session) {
		w.issue(alice, s.RSA("\x01", "alice"))
		w.issue(bob, s.EC(elliptic.P256(), "\x02", "bob"))
		s.Put("\x01", "alice", w.certs[alice])
	})
	w.checker = testpki.Must(path.NewValidator(path.Config{
		Anchors: []*x509.Certificate{w.ca.Root}, Revocation: certs.RevocationOff,
	}))
	return w
}

func (w *world) issue(addr string, key crypto.PrivateKey) {
	w.certs[addr] = testpki.Must(w.ca.Issue(testpki.Leaf{Addresses: []string{addr}, PrivateKey: key})).Certificate
}

// use has this process use the keys.
func (w *world) use(t *testing.T) *world {
	t.Helper()
	var err error
	w.keys, err = token.Open(token.Config{
		Token: w.token.URI(""), Helper: filepath.Join(filepath.Dir(program), "smimerelay-token"),
		Certificates: []*x509.Certificate{w.certs[bob]},
	})
	must(t, err)
	t.Cleanup(w.keys.Close)
	return w
}

// identity returns the identity of addr.
func (w *world) identity(t *testing.T, addr string) *certs.Identity {
	t.Helper()
	id, err := w.keys.Signing(t.Context(), testpki.Must(address.Parse(addr)))
	must(t, err)
	if id == nil {
		t.Fatalf("no identity for %s", addr)
	}
	return id
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open opens a message with the keys in the token, and with no others.
func (w *world) open(m *message.Message) *smime.Opened {
	return smime.Open(context.Background(), m, smime.OpenOptions{Keys: w.keys, Checker: w.checker})
}

// mail is a message from addr.
func mail(t *testing.T, addr, rest string) *message.Message {
	t.Helper()
	return testpki.Must(message.Parse([]byte("From: " + addr + "\r\nTo: you@example.net\r\nSubject: keys\r\nDate: " + time.Now().Format(time.RFC1123Z) + "\r\nMIME-Version: 1.0\r\n" + rest)))
}

// Keys that are found by their sender's address sign; OpenSSL and we verify.
func TestSign(t *testing.T) {
	w := newWorld(t).use(t)
	openssl := peer.NewOpenSSL(t, w.ca)
	for name, c := range map[string]struct {
		from, algorithm string
		o               smime.SignOptions
	}{
		"rsa":             {alice, "rsa-pkcs1", smime.SignOptions{}},
		"rsa sha-512":     {alice, "rsa-pkcs1", smime.SignOptions{Digest: crypto.SHA512}},
		"rsa pss":         {alice, "rsa-pss", smime.SignOptions{PSS: true}},
		"rsa pss sha-384": {alice, "rsa-pss", smime.SignOptions{PSS: true, Digest: crypto.SHA384, Opaque: true}},
		"p-256":           {bob, "ecdsa", smime.SignOptions{}},
		"p-256 opaque":    {bob, "ecdsa", smime.SignOptions{Opaque: true}},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.Time = time.Now()
			signed, err := smime.Sign(mail(t, c.from, content), w.identity(t, c.from), c.o)
			must(t, err)
			out, err := openssl.Verify(signed.Bytes())
			must(t, err)
			if !strings.HasSuffix(string(out), "what only the token opens\r\n") {
				t.Errorf("OpenSSL reads %q", out)
			}
			r := w.open(signed).Report
			if r.Result != certs.Pass || len(r.Signers) != 1 || string(r.Signers[0].Signature) != c.algorithm {
				t.Errorf("%+v", r)
			}
		})
	}
}

// A key does not sign under the certificate of another.
func TestSignWithAnotherCertificate(t *testing.T) {
	w := newWorld(t).use(t)
	mixed := &certs.Identity{Certificate: w.certs[bob], Key: w.identity(t, alice).Key}
	if m, err := smime.Sign(mail(t, bob, content), mixed, smime.SignOptions{Time: time.Now()}); err == nil {
		t.Errorf("signed: %s", m.Bytes())
	}
}

// decrypts checks that m opens to the content that was encrypted.
func (w *world) decrypts(t *testing.T, m *message.Message) {
	t.Helper()
	if bytes.Contains(m.Bytes(), []byte("what only the token opens")) {
		t.Fatal("the message is not encrypted")
	}
	opened := w.open(m)
	if !opened.Decrypted || string(opened.Message.Body()) != "what only the token opens\r\n" {
		t.Errorf("opened: %q, %+v", opened.Message.Body(), opened.Report)
	}
}

// What we encrypt to the certificates is opened in the token.
func TestDecrypt(t *testing.T) {
	w := newWorld(t).use(t)
	for _, cipher := range []cms.Cipher{cms.AES256CBC, cms.AES128GCM, cms.ChaCha20Poly1305} {
		for _, to := range []string{alice, bob} {
			t.Run(string(cipher)+" to "+to, func(t *testing.T) {
				m, err := smime.Encrypt(mail(t, alice, content), []*x509.Certificate{w.certs[to]}, smime.EncryptOptions{Cipher: cipher})
				must(t, err)
				w.decrypts(t, m)
			})
		}
	}
	t.Run("signed by one, encrypted to both", func(t *testing.T) {
		signed, err := smime.Sign(mail(t, bob, content), w.identity(t, bob), smime.SignOptions{Time: time.Now()})
		must(t, err)
		m, err := smime.Encrypt(signed, []*x509.Certificate{w.certs[bob], w.certs[alice]}, smime.EncryptOptions{})
		must(t, err)
		opened := w.open(m)
		if !opened.Decrypted || opened.Report.Result != certs.Pass {
			t.Errorf("%+v", opened.Report)
		}
	})
}

// What OpenSSL encrypts is opened in the token. Its OAEP is the one with SHA-1,
// the only one that SoftHSM 2.6 has.
func TestDecryptOpenSSL(t *testing.T) {
	w := newWorld(t).use(t)
	for name, c := range map[string]struct {
		to, management string
		args           []string
	}{
		"rsa":                 {alice, "rsa-pkcs1", nil},
		"rsa gcm":             {alice, "rsa-pkcs1", []string{"-aes-256-gcm"}},
		"rsa oaep":            {alice, "rsa-oaep", []string{"-keyopt", "rsa_padding_mode:oaep"}},
		"p-256":               {bob, "ecdh", nil},
		"p-256 with sha-384":  {bob, "ecdh", []string{"-keyopt", "ecdh_kdf_md:sha384"}},
		"p-256 with cofactor": {bob, "ecdh", []string{"-keyopt", "ecdh_cofactor_mode:1"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := mail(t, alice, w.openssl(t, w.certs[c.to], c.args))
			object, err := m.Root().Decode()
			must(t, err)
			e, err := cms.ParseEnvelopedData(object)
			must(t, err)
			if got := e.Recipients[0].KeyManagement; string(got) != c.management {
				t.Errorf("key management %q", got)
			}
			w.decrypts(t, m)
		})
	}
}

// openssl has OpenSSL encrypt the content to cert.
func (w *world) openssl(t *testing.T, cert *x509.Certificate, args []string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "cert.pem")
	must(t, os.WriteFile(file, testpki.EncodeCertificates(cert), 0o600))
	all := append([]string{"cms", "-encrypt", "-binary", "-aes-256-cbc", "-recip", file}, args...)
	var complaint strings.Builder
	cmd := exec.Command("openssl", all...)
	cmd.Stdin, cmd.Stderr = strings.NewReader(content), &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, complaint.String())
	}
	return strings.TrimPrefix(string(message.Canonical(out)), "MIME-Version: 1.0\r\n")
}

// The token tells a bad padding from a good one; we must not (RFC 3218 section
// 2.3.2). A bad padding, a good one around a key of another length and a good one
// around a wrong key are answered alike.
func TestTokenIsNoOracle(t *testing.T) {
	w := newWorld(t).use(t)
	object, err := cms.Encrypt(cms.EncryptRequest{
		Content: [][]byte{[]byte(content)}, Recipients: []*x509.Certificate{w.certs[alice]}, Cipher: cms.AES256GCM,
	})
	must(t, err)
	pkcs1 := func(key []byte) []byte {
		// What is attacked.
		return testpki.Must(rsa.EncryptPKCS1v15(rand.Reader, w.certs[alice].PublicKey.(*rsa.PublicKey), key))
	}
	for name, c := range map[string]struct {
		encrypted []byte // nil: as it was
		want      error
	}{
		"untouched":  {nil, nil},
		"no padding": {bytes.Repeat([]byte{0x55}, 256), cms.ErrDecrypt},
		"no key":     {pkcs1(nil), cms.ErrDecrypt},
		"short key":  {pkcs1(make([]byte, 16)), cms.ErrDecrypt},
		"wrong key":  {pkcs1(make([]byte, 32)), cms.ErrDecrypt},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := cms.ParseEnvelopedData(withEncryptedKey(t, object.Bytes(), c.encrypted))
			must(t, err)
			got, err := e.Decrypt(0, w.identity(t, alice).Key, cms.DecryptOptions{})
			if err != c.want || (err == nil) != (string(got) == content) {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

// withEncryptedKey replaces the encrypted key, unless it is nil, in an object with
// one recipient: it is the first OCTET STRING of 256 octets.
func withEncryptedKey(t *testing.T, object, encrypted []byte) []byte {
	t.Helper()
	head := []byte{0x04, 0x82, 0x01, 0x00}
	at := bytes.Index(object, head)
	if at < 0 || encrypted != nil && len(encrypted) != 256 {
		t.Fatalf("encrypted key at %d, for %d octets", at, len(encrypted))
	}
	out := bytes.Clone(object)
	copy(out[at+len(head):], encrypted)
	return out
}
