package cms

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"testing"
	"time"
)

// Each benchmark has the engine ("cms") beside the bare primitives on the same
// bytes ("floor"): the hash, the operations with public and private keys, the
// cipher.

var benchSizes = []int{5_000, 75_000, 1_000_000, 25_000_000}

func benchmark(b *testing.B, name string, size int, f func()) {
	b.Run(name, func(b *testing.B) {
		b.SetBytes(int64(size))
		b.ReportAllocs()
		for b.Loop() {
			f()
		}
	})
}

func BenchmarkSign(b *testing.B) {
	for _, key := range []string{"p256", "rsa2048"} {
		id := newIdentity(b, key)
		for _, size := range benchSizes {
			data := make([]byte, size)
			name := fmt.Sprintf("%s/%d", key, size)
			benchmark(b, name+"/cms", size, func() {
				o, err := Sign(SignRequest{Content: [][]byte{data}, Detached: true,
					Signers: []Signer{{Certificate: id.cert, Key: id.key, Time: time.Now()}}})
				if err != nil {
					b.Fatal(err)
				}
				o.Bytes()
			})
			benchmark(b, name+"/floor", size, func() {
				sum := sha256.Sum256(data)
				if _, err := id.key.Sign(rand.Reader, sum[:], crypto.SHA256); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, key := range []string{"p256", "rsa2048"} {
		id := newIdentity(b, key)
		for _, size := range benchSizes {
			data := make([]byte, size)
			o, err := Sign(SignRequest{Content: [][]byte{data}, Detached: true,
				Signers: []Signer{{Certificate: id.cert, Key: id.key, Time: time.Now()}}})
			if err != nil {
				b.Fatal(err)
			}
			der := o.Bytes()
			name := fmt.Sprintf("%s/%d", key, size)
			benchmark(b, name+"/cms", size, func() {
				s, err := ParseSignedData(der)
				if err != nil {
					b.Fatal(err)
				}
				if r := s.Verify(VerifyOptions{Content: [][]byte{data}}); r[0].Err != nil {
					b.Fatal(r[0].Err)
				}
			})
			cache := NewCertificateCache(1 << 20)
			benchmark(b, name+"/cms-cached", size, func() {
				s, err := cache.ParseSignedData(der)
				if err != nil {
					b.Fatal(err)
				}
				if r := s.Verify(VerifyOptions{Content: [][]byte{data}}); r[0].Err != nil {
					b.Fatal(r[0].Err)
				}
			})
			sum := sha256.Sum256(data)
			sig, _ := id.key.Sign(rand.Reader, sum[:], crypto.SHA256)
			benchmark(b, name+"/floor", size, func() {
				sum := sha256.Sum256(data)
				switch k := id.key.Public().(type) {
				case *ecdsa.PublicKey:
					ecdsa.VerifyASN1(k, sum[:], sig)
				case *rsa.PublicKey:
					rsa.VerifyPKCS1v15(k, crypto.SHA256, sum[:], sig)
				}
			})
		}
	}
}

func BenchmarkEncrypt(b *testing.B) {
	for _, key := range []string{"p256", "rsa2048"} {
		id := newIdentity(b, key)
		for _, recipients := range []int{1, 10, 100} {
			certs := make([]*x509.Certificate, recipients)
			for i := range certs {
				certs[i] = id.cert
			}
			for _, size := range benchSizes {
				for _, c := range []Cipher{AES256CBC, AES256GCM} {
					if recipients > 1 && (size > 75_000 || c != AES256CBC) {
						continue
					}
					benchEncrypt(b, id, certs, size, c)
				}
			}
		}
	}
}

func benchEncrypt(b *testing.B, id *identity, certs []*x509.Certificate, size int, c Cipher) {
	data := make([]byte, size)
	buf := make([]byte, 0, size+1000*len(certs)+1000)
	name := fmt.Sprintf("%s/%d/%s/%d", id.name, len(certs), c, size)
	benchmark(b, name+"/cms", size, func() {
		o, err := Encrypt(EncryptRequest{Content: [][]byte{data}, Recipients: certs, Cipher: c})
		if err != nil {
			b.Fatal(err)
		}
		o.AppendTo(buf)
	})
	benchmark(b, name+"/floor", size, func() {
		key := make([]byte, 32)
		rand.Read(key)
		for range certs {
			floorTransport(id, key)
		}
		block, _ := aes.NewCipher(key)
		if c == AES256CBC {
			cipher.NewCBCEncrypter(block, key[:16]).CryptBlocks(buf[:size/16*16], data[:size/16*16])
		} else {
			g, _ := cipher.NewGCM(block)
			g.Seal(buf, key[:12], data, nil)
		}
	})
}

// floorTransport is one public-key operation for a recipient.
func floorTransport(id *identity, key []byte) {
	switch k := id.key.Public().(type) {
	case *rsa.PublicKey:
		// What is measured.
		rsa.EncryptPKCS1v15(rand.Reader, k, key)
	case *ecdsa.PublicKey:
		p, _ := k.ECDH()
		own, _ := ecdh.P256().GenerateKey(rand.Reader)
		own.ECDH(p)
	}
}

func BenchmarkDecrypt(b *testing.B) {
	for _, key := range []string{"p256", "rsa2048"} {
		id := newIdentity(b, key)
		for _, size := range benchSizes {
			for _, c := range []Cipher{AES256CBC, AES256GCM} {
				benchDecrypt(b, id, size, c)
			}
		}
	}
}

func benchDecrypt(b *testing.B, id *identity, size int, c Cipher) {
	o, err := Encrypt(EncryptRequest{Content: [][]byte{make([]byte, size)}, Recipients: []*x509.Certificate{id.cert}, Cipher: c})
	if err != nil {
		b.Fatal(err)
	}
	der := o.Bytes()
	name := fmt.Sprintf("%s/%s/%d", id.name, c, size)
	benchmark(b, name+"/cms", size, func() {
		e, err := ParseEnvelopedData(der)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := e.Decrypt(0, id.key, DecryptOptions{}); err != nil {
			b.Fatal(err)
		}
	})
	spent := make([]byte, len(der))
	benchmark(b, name+"/cms-in-place", size, func() { // and a copy, because the object is spent
		copy(spent, der)
		e, err := ParseEnvelopedData(spent)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := e.Decrypt(0, id.key, DecryptOptions{InPlace: true}); err != nil {
			b.Fatal(err)
		}
	})
	key := make([]byte, 32)
	block, _ := aes.NewCipher(key)
	sealed := make([]byte, size/16*16+16)
	g, _ := cipher.NewGCM(block)
	if c == AES256GCM {
		sealed = g.Seal(nil, key[:12], sealed[:size], nil)
	}
	e, _ := ParseEnvelopedData(der)
	buf := make([]byte, len(sealed))
	benchmark(b, name+"/floor", size, func() {
		e.Recipients[0].contentKey(id.key, 32, DecryptOptions{})
		if c == AES256CBC {
			cipher.NewCBCDecrypter(block, key[:16]).CryptBlocks(buf, sealed)
		} else if _, err := g.Open(buf[:0], key[:12], sealed, nil); err != nil {
			b.Fatal(err)
		}
	})
}

// BenchmarkParseRecipients is what a reader pays for the recipients beside him.
func BenchmarkParseRecipients(b *testing.B) {
	id := newIdentity(b, "rsa2048") // the infos of agreement would be the same
	for _, n := range []int{1, 100, 1000} {
		certs := make([]*x509.Certificate, n)
		for i := range certs {
			certs[i] = id.cert
		}
		o, err := Encrypt(EncryptRequest{Recipients: certs})
		if err != nil {
			b.Fatal(err)
		}
		der := o.Bytes()
		benchmark(b, fmt.Sprint(n), len(der), func() {
			if _, err := ParseEnvelopedData(der); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkPieces is BER as Outlook writes it, and the worst there is.
func BenchmarkPieces(b *testing.B) {
	for _, size := range []int{1000, 1, 0} {
		chunk := append([]byte{4, 0x82, byte(size >> 8), byte(size)}, make([]byte, size)...)
		if size < 128 {
			chunk = append([]byte{4, byte(size)}, make([]byte, size)...)
		}
		for _, total := range []int{1_000_000, 25_000_000} {
			der := rawSigned(append(append([]byte{0x24, 0x80}, bytes.Repeat(chunk, total/len(chunk))...), 0, 0), nil, nil)
			benchmark(b, fmt.Sprintf("%d/%d", size, total), total, func() {
				s, err := ParseSignedData(der)
				if err != nil {
					b.Fatal(err)
				}
				for range s.Content.Chunks() {
				}
			})
		}
	}
}
