package cms_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"strings"
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
		fmt.Println(r.Certificate.Subject, cms.DigestName(r.Digest), r.Signature, r.Err)
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

// SCEP, RFC 3161 and Authenticode sign content types and attributes of their own.
func ExampleSign_attributes() {
	key, cert := alice()
	transaction := asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 7} // RFC 8894 section 3.2.1.1
	own, err := cms.NewAttribute(transaction, "17")
	if err != nil {
		panic(err)
	}
	object, err := cms.Sign(cms.SignRequest{Content: [][]byte{[]byte("\x30\x00")}, ContentType: "1.2.840.113549.1.9.16.1.4",
		Signers: []cms.Signer{{Certificate: cert, Key: key, Attributes: []cms.Attribute{own}}}})
	if err != nil {
		panic(err)
	}

	s, err := cms.ParseSignedData(object.Bytes())
	if err != nil {
		panic(err)
	}
	r := s.Verify(cms.VerifyOptions{})[0]
	for _, a := range r.SignedAttributes() {
		if a.Type.Equal(transaction) {
			var id string
			_, err := asn1.Unmarshal(a.Values[0], &id)
			fmt.Println(s.ContentType, id, err, r.Err)
		}
	}
	// Output:
	// 1.2.840.113549.1.9.16.1.4 17 <nil> <nil>
}

// A time stamp is over the signature, and so stands beside it.
func ExampleSign_unsigned() {
	key, cert := alice()
	token := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 14} // RFC 3161 appendix A
	object, err := cms.Sign(cms.SignRequest{Content: [][]byte{[]byte("text")}, Signers: []cms.Signer{{
		Certificate: cert, Key: key,
		Unsigned: func(signature []byte) ([]cms.Attribute, error) {
			stamp, err := cms.NewAttribute(token, []byte("stamp of the signature"))
			return []cms.Attribute{stamp}, err
		},
	}}})
	if err != nil {
		panic(err)
	}
	s, err := cms.ParseSignedData(object.Bytes())
	if err != nil {
		panic(err)
	}
	r := s.Verify(cms.VerifyOptions{})[0]
	fmt.Println(r.UnsignedAttributes()[0].Type, r.Err)
	// Output:
	// 1.2.840.113549.1.9.16.2.14 <nil>
}

// A signature without signed attributes counts where the caller says so, and errors
// are distinguished with errors.Is.
func ExampleSignedData_Verify_bare() {
	key, cert := alice()
	object, err := cms.Sign(cms.SignRequest{Content: [][]byte{[]byte("text")},
		Signers: []cms.Signer{{Certificate: cert, Key: key, Bare: true}}})
	if err != nil {
		panic(err)
	}
	s, err := cms.ParseSignedData(object.Bytes())
	if err != nil {
		panic(err)
	}
	strict, lenient := s.Verify(cms.VerifyOptions{})[0], s.Verify(cms.VerifyOptions{AllowBare: true})[0]
	fmt.Println(errors.Is(strict.Err, cms.ErrAttributes), lenient.Err, lenient.Bare)
	// Output:
	// true <nil> true
}

// A large content is read once and is never in memory.
func ExampleDigest() {
	key, cert := alice()
	large := func() io.Reader { return io.LimitReader(zeros{}, 50<<20) }
	digests, err := cms.Digest(large(), cms.DefaultDigest(key.Public()))
	if err != nil {
		panic(err)
	}
	signature, err := cms.Sign(cms.SignRequest{Detached: true, Digests: digests,
		Signers: []cms.Signer{{Certificate: cert, Key: key}}})
	if err != nil {
		panic(err)
	}

	s, err := cms.ParseSignedData(signature.Bytes())
	if err != nil {
		panic(err)
	}
	if digests, err = cms.Digest(large(), s.Digests()...); err != nil {
		panic(err)
	}
	fmt.Println(s.Verify(cms.VerifyOptions{Digests: digests})[0].Err)
	// Output:
	// <nil>
}

// zeros is an endless file.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// Certificates travel in a SignedData without signatures, as in .p7b.
func ExampleCertsOnly() {
	_, cert := alice()
	bundle := cms.CertsOnly([]*x509.Certificate{cert}, nil).Bytes()
	list, problems, err := cms.ParseBundle(bundle)
	fmt.Println(list[0].Subject, problems[0], err)
	// Output:
	// CN=Alice <nil> <nil>
}

func ExampleContentType() {
	_, cert := alice()
	sealed, err := cms.Encrypt(cms.EncryptRequest{Recipients: []*x509.Certificate{cert}})
	if err != nil {
		panic(err)
	}
	typ, err := cms.ContentType(sealed.Bytes())
	fmt.Println(typ, err)
	_, err = cms.ContentType([]byte("text"))
	fmt.Println(errors.Is(err, cms.ErrMalformed))
	// Output:
	// enveloped-data <nil>
	// true
}

func ExampleID_Matches() {
	_, cert := alice()
	_, other := alice()
	id := cms.ID{SubjectKeyID: []byte{1, 2}}
	fmt.Println(cms.CertificateID(cert).Matches(cert), id.Matches(other))
	// Output:
	// true false
}

func ExampleDigestByName() {
	h, ok := cms.DigestByName("SHA256")
	fmt.Println(cms.DigestName(h), ok)
	// Output:
	// sha-256 true
}

// Everything that depends on the key or the ciphertext is one error.
func ExampleEnvelopedData_Decrypt() {
	_, cert := alice()
	stranger, _ := alice()
	sealed, err := cms.Encrypt(cms.EncryptRequest{Content: [][]byte{[]byte("text")}, Recipients: []*x509.Certificate{cert}})
	if err != nil {
		panic(err)
	}
	e, err := cms.ParseEnvelopedData(sealed.Bytes())
	if err != nil {
		panic(err)
	}
	_, err = e.Decrypt(0, stranger, cms.DecryptOptions{})
	fmt.Println(err == cms.ErrDecrypt)
	// Output:
	// true
}

// A backup is encrypted on its way into a file, and decrypted again. What it takes of
// memory does not depend on its size.
func ExampleEncryptStream() {
	key, cert := alice()
	var object bytes.Buffer // a file
	request := cms.EncryptRequest{Recipients: []*x509.Certificate{cert}, Cipher: cms.AES256GCM}
	if err := cms.EncryptStream(&object, request, strings.NewReader("a backup"), -1); err != nil {
		panic(err)
	}

	spool, err := os.CreateTemp("", "ciphertext")
	if err != nil {
		panic(err)
	}
	defer os.Remove(spool.Name())
	defer spool.Close()
	e, err := cms.ReadEnvelopedData(&object, spool)
	if err != nil {
		panic(err)
	}
	for i, r := range e.Recipients {
		if r.ID.Matches(cert) {
			err = e.DecryptTo(os.Stdout, i, key, cms.DecryptOptions{})
		}
	}
	fmt.Println(",", e.Authenticated, err)
	// Output: a backup, true <nil>
}

// What was signed is written as it comes, and used when the signature is good.
func ExampleReadSignedData() {
	key, cert := alice()
	var object, content bytes.Buffer // files
	request := cms.SignRequest{Signers: []cms.Signer{{Certificate: cert, Key: key}}}
	if err := cms.SignStream(&object, request, strings.NewReader("a backup")); err != nil {
		panic(err)
	}

	s, err := cms.ReadSignedData(&object, &content)
	if err != nil {
		panic(err)
	}
	for _, r := range s.Verify(cms.VerifyOptions{}) {
		fmt.Println(content.String(), r.Certificate.Subject, r.Err)
	}
	// Output: a backup CN=Alice <nil>
}
