// Package importer is a program outside of the module that uses the library as any
// other would: it sees exported names only.
package importer

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/path"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// newIdentity returns a key with a certificate that signed itself.
func newIdentity() *certs.Identity {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Alice"},
		EmailAddresses: []string{"alice@example.org"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der := must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
	return &certs.Identity{Certificate: must(x509.ParseCertificate(der)), Key: key}
}

// A message is signed, encrypted, and opened again.
func TestMessage(t *testing.T) {
	id := newIdentity()
	m := must(message.Parse([]byte("From: alice@example.org\r\nDate: " + time.Now().Format(time.RFC1123Z) + "\r\n\r\nHello.\r\n")))
	signed := must(smime.Sign(m, id, smime.SignOptions{Time: time.Now()}))
	sealed := must(smime.Encrypt(signed, []*x509.Certificate{id.Certificate}, smime.EncryptOptions{Cipher: "aes-256-gcm"}))
	validator := must(path.NewValidator(path.Config{Anchors: []*x509.Certificate{id.Certificate}}))
	opened := smime.Open(t.Context(), sealed, smime.OpenOptions{Keys: certs.NewKeys(nil, id), Checker: validator})
	if opened.Report.Result != certs.Pass || !opened.Decrypted || len(opened.Report.Signers) != 1 || !strings.Contains(string(opened.Message.Bytes()), "Hello.") {
		t.Errorf("%+v", opened.Report)
	}
	author := must(address.Parse("ALICE@example.org"))
	if !opened.Report.Author.Equal(author, address.IgnoreCase) {
		t.Errorf("author %v", opened.Report.Author)
	}
}

// What SCEP, RFC 3161 and Authenticode need of go.mozilla.org/pkcs7.
func TestOwnProtocol(t *testing.T) {
	id := newIdentity()
	transaction := asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 7}
	own := must(cms.NewAttribute(transaction, "17"))
	object := must(cms.Sign(cms.SignRequest{Content: [][]byte{{0x30, 0}}, ContentType: "1.3.6.1.4.1.311.2.1.4", Element: true,
		Signers: []cms.Signer{{Certificate: id.Certificate, Key: id.Key.(crypto.Signer), Attributes: []cms.Attribute{own}}}}))
	s := must(cms.ParseSignedData(object.Bytes()))
	r := s.Verify(cms.VerifyOptions{})[0]
	found := false
	for _, a := range r.SignedAttributes() {
		found = found || a.Type.Equal(transaction) && string(a.Values[0]) == string(own.Values[0])
	}
	if r.Err != nil || !found || string(s.Element) != "\x30\x00" {
		t.Errorf("%+v", r)
	}
	if _, err := cms.ParseSignedData([]byte("text")); !errors.Is(err, cms.ErrMalformed) {
		t.Error(err)
	}
}

// A detached signature over a content that is read and not kept.
func TestReader(t *testing.T) {
	id := newIdentity()
	digests := must(cms.Digest(strings.NewReader("large"), crypto.SHA256))
	object := must(cms.Sign(cms.SignRequest{Detached: true, Digests: digests,
		Signers: []cms.Signer{{Certificate: id.Certificate, Key: id.Key.(crypto.Signer), Bare: true}}}))
	s := must(cms.ParseSignedData(object.Bytes()))
	o := cms.VerifyOptions{Content: [][]byte{[]byte("large")}}
	if err := s.Verify(o)[0].Err; !errors.Is(err, cms.ErrAttributes) {
		t.Errorf("without being asked for: %v", err)
	}
	o.AllowBare = true
	if err := s.Verify(o)[0].Err; err != nil {
		t.Error(err)
	}
}

// Errors are known by errors.Is, whatever their text.
func TestErrors(t *testing.T) {
	id := newIdentity()
	good := must(message.Parse([]byte("From: alice@example.org\r\n\r\nHello.\r\n")))
	twice := must(message.Parse([]byte("Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\nHello.\r\n")))
	weak := &certs.Identity{Certificate: id.Certificate, Key: must(ecdh.X25519().GenerateKey(rand.Reader))}
	_, header := message.Parse([]byte("no header\r\n\r\n"))
	_, malformed := smime.Sign(twice, id, smime.SignOptions{})
	_, identity := smime.Sign(good, weak, smime.SignOptions{})
	_, cipher := smime.Encrypt(good, []*x509.Certificate{id.Certificate}, smime.EncryptOptions{Cipher: cms.RC2})
	_, truncated := cms.ParseEnvelopedData(nil)
	for _, c := range []struct{ got, want error }{
		{header, message.ErrMalformed}, {malformed, message.ErrMalformed}, {identity, smime.ErrIdentity},
		{cipher, cms.ErrUnsupported}, {truncated, cms.ErrMalformed},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%v is not %v", c.got, c.want)
		}
	}
	if errors.Is(identity, message.ErrMalformed) || errors.Is(malformed, smime.ErrIdentity) {
		t.Errorf("%v and %v are one error", identity, malformed)
	}
}
