package cms_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"time"

	"github.com/smimerelay/smimerelay/smime/cms"
)

// alice is an identity for the examples.
func alice() (crypto.Signer, *x509.Certificate) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Alice"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return key, cert
}

func ExampleSign() {
	key, cert := alice()
	content := [][]byte{[]byte("Content-Type: text/plain\r\n\r\n"), []byte("Hello.\r\n")}
	signature, err := cms.Sign(cms.SignRequest{Content: content, Detached: true,
		Signers: []cms.Signer{{Certificate: cert, Key: key, Time: time.Now()}}})
	if err != nil {
		panic(err)
	}

	s, err := cms.ParseSignedData(signature.Bytes())
	if err != nil {
		panic(err)
	}
	for _, r := range s.Verify(cms.VerifyOptions{Content: content}) {
		fmt.Println(r.Certificate.Subject, r.Digest, r.Signature, r.Err)
	}
	for _, r := range s.Verify(cms.VerifyOptions{Content: [][]byte{[]byte("Good-bye.\r\n")}}) {
		fmt.Println(r.Err)
	}
	// Output:
	// CN=Alice sha-256 ecdsa <nil>
	// cms: content was changed
}

func ExampleEncrypt() {
	key, cert := alice()
	sealed, err := cms.Encrypt(cms.EncryptRequest{Content: [][]byte{[]byte("Hello.\r\n")},
		Recipients: []*x509.Certificate{cert}, Cipher: cms.AES256GCM})
	if err != nil {
		panic(err)
	}

	e, err := cms.ParseEnvelopedData(sealed.Bytes())
	if err != nil {
		panic(err)
	}
	for i, r := range e.Recipients {
		if r.ID.Matches(cert) {
			plain, err := e.Decrypt(i, key, cms.DecryptOptions{})
			fmt.Printf("%s %s %q %v\n", e.Cipher, r.KeyManagement, plain, err)
		}
	}
	// Output:
	// aes-256-gcm ecdh "Hello.\r\n" <nil>
}

// One buffer is enough for an object and its base64 text.
func ExampleObject_AppendTo() {
	_, cert := alice()
	object := cms.CertsOnly([]*x509.Certificate{cert}, nil)
	text := make([]byte, base64.StdEncoding.EncodedLen(object.Len()))
	der := object.AppendTo(text[:len(text)-object.Len()])[len(text)-object.Len():]
	for out := text; len(der) > 0; { // the text ends where the octets end
		n := min(len(der), 48)
		var line [48]byte
		copy(line[:], der[:n])
		base64.StdEncoding.Encode(out, line[:n])
		der, out = der[n:], out[min(len(out), 64):]
	}
	back, err := base64.StdEncoding.DecodeString(string(text))
	typ, _ := cms.ContentType(back)
	fmt.Println(typ, err)
	// Output:
	// signed-data <nil>
}
