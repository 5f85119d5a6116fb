package smime

import (
	"context"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// benchSizes are the sizes of messages, in octets.
var benchSizes = []int{5 << 10, 75 << 10, 1 << 20, 25 << 20}

// sized returns a message of about n octets: a text and a base64 attachment.
func sized(t testing.TB, n int) *message.Message {
	t.Helper()
	data := make([]byte, max(0, (n-600)*57/78))
	rand.Read(data)
	head := "From: alice@example.org\r\nTo: bob@example.org\r\nSubject: bench\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: multipart/mixed; boundary=\"=_b\"\r\n\r\n--=_b\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\nSee the attachment.\r\n" +
		"--=_b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
	raw := append([]byte(head), testpki.Base64(data)...)
	return parse(t, string(append(raw, "--=_b--\r\n"...)))
}

// forEachSize runs a benchmark for each size and kind of key.
func forEachSize(b *testing.B, f func(b *testing.B, w *world, id *certs.Identity, m *message.Message)) {
	w := newWorld(b)
	for _, n := range benchSizes {
		m := sized(b, n)
		for name, id := range map[string]*certs.Identity{"rsa": w.alice, "p256": w.bob} {
			b.Run(fmt.Sprintf("%s/%dk", name, n>>10), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(m.Bytes())))
				f(b, w, id, m)
			})
		}
	}
}

func BenchmarkSign(b *testing.B) {
	forEachSize(b, func(b *testing.B, w *world, id *certs.Identity, m *message.Message) {
		for b.Loop() {
			w.sign(b, m, id, SignOptions{})
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	forEachSize(b, func(b *testing.B, w *world, id *certs.Identity, m *message.Message) {
		raw := w.sign(b, m, id, SignOptions{}).Bytes()
		for b.Loop() {
			openRaw(b, raw, OpenOptions{Checker: trusting{}})
		}
	})
}

func BenchmarkEncrypt(b *testing.B) {
	for _, cipher := range []cms.Cipher{cms.AES256CBC, cms.AES256GCM} {
		b.Run(string(cipher), func(b *testing.B) {
			forEachSize(b, func(b *testing.B, w *world, id *certs.Identity, m *message.Message) {
				for b.Loop() {
					encrypt(b, m, EncryptOptions{Cipher: cipher}, id)
				}
			})
		})
	}
}

func BenchmarkDecrypt(b *testing.B) {
	for _, cipher := range []cms.Cipher{cms.AES256CBC, cms.AES256GCM} {
		b.Run(string(cipher), func(b *testing.B) {
			forEachSize(b, func(b *testing.B, w *world, id *certs.Identity, m *message.Message) {
				raw := encrypt(b, m, EncryptOptions{Cipher: cipher}, id).Bytes()
				keys := certs.NewKeys(nil, id)
				for b.Loop() {
					openRaw(b, raw, OpenOptions{Keys: keys})
				}
			})
		})
	}
}

// openRaw parses and opens; it keeps raw as it is.
func openRaw(b testing.TB, raw []byte, o OpenOptions) *Opened {
	m, err := message.Parse(raw)
	if err != nil {
		b.Fatal(err)
	}
	opened := Open(context.Background(), m, o)
	if opened.Report.Result == certs.PermError {
		b.Fatalf("%+v", opened.Report)
	}
	return opened
}

// BenchmarkFloor measures the bare primitives on the same bytes: what no engine
// can do without.
func BenchmarkFloor(b *testing.B) {
	for _, op := range []string{"sign", "verify", "encrypt", "decrypt"} {
		b.Run(op, func(b *testing.B) {
			forEachSize(b, func(b *testing.B, _ *world, id *certs.Identity, m *message.Message) {
				f := newFloor(b, id, m.Bytes())
				for b.Loop() {
					f.run(b, op)
				}
			})
		})
	}
}

// floor holds what the primitives work on.
type floor struct {
	id         *certs.Identity
	data       []byte
	signature  []byte
	wrapped    []byte
	block      cipher.Block
	iv         []byte
	work, text []byte
}

func newFloor(b testing.TB, id *certs.Identity, data []byte) *floor {
	f := &floor{id: id, data: data[:len(data)/16*16], iv: make([]byte, 16)}
	f.block, _ = aes.NewCipher(make([]byte, 32))
	f.work = make([]byte, len(data))
	f.text = make([]byte, base64.StdEncoding.EncodedLen(len(data)))
	base64.StdEncoding.Encode(f.text, data)
	digest := sha256.Sum256(data)
	var err error
	if f.signature, err = id.Key.(crypto.Signer).Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
		b.Fatal(err)
	}
	if key, ok := id.Key.(*rsa.PrivateKey); ok {
		if f.wrapped, err = rsa.EncryptOAEP(sha256.New(), rand.Reader, &key.PublicKey, f.iv, nil); err != nil {
			b.Fatal(err)
		}
	}
	return f
}

func (f *floor) run(b testing.TB, op string) {
	var err error
	switch op {
	case "sign":
		digest := sha256.Sum256(f.data)
		_, err = f.id.Key.(crypto.Signer).Sign(rand.Reader, digest[:], crypto.SHA256)
	case "verify":
		sha256.Sum256(f.data)
		err = f.id.Certificate.CheckSignature(x509SHA256(f.id.Certificate), f.data[:16], f.signature)
		if err != nil {
			err = nil // the signature is over all of the data: only the time counts
		}
	case "encrypt":
		f.wrap(b)
		cipher.NewCBCEncrypter(f.block, f.iv).CryptBlocks(f.work[:len(f.data)], f.data)
		base64.StdEncoding.Encode(f.text, f.work)
	case "decrypt":
		f.unwrap(b)
		_, err = base64.StdEncoding.Decode(f.work, f.text[:len(f.work)/3*4])
		n := len(f.work) / 16 * 16
		cipher.NewCBCDecrypter(f.block, f.iv).CryptBlocks(f.work[:n], f.work[:n])
	}
	if err != nil {
		b.Fatal(err)
	}
}

func x509SHA256(cert *x509.Certificate) x509.SignatureAlgorithm {
	if cert.PublicKeyAlgorithm == x509.RSA {
		return x509.SHA256WithRSA
	}
	return x509.ECDSAWithSHA256
}

// wrap does the public key operations of one recipient.
func (f *floor) wrap(b testing.TB) {
	switch key := f.id.Key.(type) {
	case *rsa.PrivateKey:
		if _, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, &key.PublicKey, f.iv, nil); err != nil {
			b.Fatal(err)
		}
	case *ecdsa.PrivateKey:
		ephemeral, err := ecdh.P256().GenerateKey(rand.Reader)
		if err != nil {
			b.Fatal(err)
		}
		f.agree(b, ephemeral)
	}
}

// unwrap does the private key operation of a recipient.
func (f *floor) unwrap(b testing.TB) {
	switch key := f.id.Key.(type) {
	case *rsa.PrivateKey:
		if _, err := rsa.DecryptOAEP(sha256.New(), nil, key, f.wrapped, nil); err != nil {
			b.Fatal(err)
		}
	case *ecdsa.PrivateKey:
		agreement, err := key.ECDH()
		if err != nil {
			b.Fatal(err)
		}
		f.agree(b, agreement)
	}
}

func (f *floor) agree(b testing.TB, key *ecdh.PrivateKey) {
	public, err := f.id.Key.(*ecdsa.PrivateKey).PublicKey.ECDH()
	if err != nil {
		b.Fatal(err)
	}
	if _, err := key.ECDH(public); err != nil {
		b.Fatal(err)
	}
}
