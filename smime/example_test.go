package smime_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/path"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/message"
)

// alice is an identity whose certificate is trusted for itself.
func alice() *certs.Identity {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Alice"},
		EmailAddresses: []string{"alice@example.org"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return &certs.Identity{Certificate: cert, Key: key}
}

// mail is what Alice writes.
func mail() *message.Message {
	m, err := message.Parse([]byte("From: alice@example.org\r\nTo: alice@example.org\r\nSubject: test\r\nDate: " + time.Now().Format(time.RFC1123Z) + "\r\n\r\nHello.\r\n"))
	if err != nil {
		panic(err)
	}
	return m
}

func ExampleSign() {
	signed, err := smime.Sign(mail(), alice(), smime.SignOptions{Time: time.Now()})
	if err != nil {
		panic(err)
	}
	fmt.Println(signed.Root().MediaType, len(signed.Root().Children))
	// Output:
	// multipart/signed 2
}

func ExampleEncrypt() {
	sealed, err := smime.Encrypt(mail(), []*x509.Certificate{alice().Certificate}, smime.EncryptOptions{Cipher: "aes-256-gcm"})
	if err != nil {
		panic(err)
	}
	fmt.Println(sealed.Root().Params["smime-type"], sealed.Get("Subject"))
	// Output:
	// authEnveloped-data test
}

// Open decrypts, verifies and says what the layers are worth.
func ExampleOpen() {
	id := alice()
	signed, err := smime.Sign(mail(), id, smime.SignOptions{Time: time.Now()})
	if err != nil {
		panic(err)
	}
	sealed, err := smime.Encrypt(signed, []*x509.Certificate{id.Certificate}, smime.EncryptOptions{Cipher: "aes-256-cbc"})
	if err != nil {
		panic(err)
	}

	validator, err := path.NewValidator(path.Config{Anchors: []*x509.Certificate{id.Certificate}})
	if err != nil {
		panic(err)
	}
	opened := smime.Open(context.Background(), sealed, smime.OpenOptions{Keys: certs.NewKeys(nil, id), Checker: validator})
	fmt.Println(opened.Report.Result, opened.Report.Layers, opened.Report.Signers[0].Addresses)
	// Output:
	// pass [enveloped signed] [alice@example.org]
}

// Inspect says what a message looks like, without keys and without trust.
func ExampleInspect() {
	sealed, err := smime.Encrypt(mail(), []*x509.Certificate{alice().Certificate}, smime.EncryptOptions{Cipher: "aes-256-cbc"})
	if err != nil {
		panic(err)
	}
	kind := smime.Inspect(sealed)
	fmt.Println(kind.Signed, kind.Encrypted, kind.Encryption.Cipher, len(kind.Readers))
	// Output:
	// false true aes-256-cbc 1
}
