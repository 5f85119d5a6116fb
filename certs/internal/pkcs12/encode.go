package pkcs12

import (
	"crypto/fips140"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/smimerelay/smimerelay/certs/internal/pbe"
)

var (
	oidLocalKeyID = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 21} // RFC 2985 section 5.5.2
	oidSHA256     = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
)

var implicit0 = cryptobyte_asn1.Tag(0).ContextSpecific()

// Encode writes a PrivateKeyInfo of any kind of key, which go-pkcs12 does not, with its
// certificate and chain (RFC 7292): PBES2 with AES-256-CBC and PBKDF2, and an integrity
// check, both with HMAC-SHA-256 and iterations rounds. An error is one of the encoding.
func Encode(key []byte, certs []*x509.Certificate, password string, iterations int) ([]byte, error) {
	id := localKeyID(certs[0])
	var bags, keyBag cryptobyte.Builder
	bags.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for i, c := range certs {
			var attribute []byte
			if i == 0 {
				attribute = id
			}
			addBag(b, oidCertBag, attribute, func(b *cryptobyte.Builder) { addCertificate(b, c) })
		}
	})
	plain, err := bags.Bytes()
	if err != nil {
		return nil, err
	}
	sealedCerts, err := pbe.SealKey(plain, password, iterations)
	if err != nil {
		return nil, err
	}
	sealedKey, err := pbe.SealKey(key, password, iterations)
	if err != nil {
		return nil, err
	}
	keyBag.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addBag(b, oidShroudedBag, id, func(b *cryptobyte.Builder) { b.AddBytes(sealedKey) })
	})
	keys, err := keyBag.Bytes()
	if err != nil {
		return nil, err
	}
	var safes cryptobyte.Builder
	safes.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addEncrypted(b, sealedCerts)
		addData(b, keys)
	})
	content, err := safes.Bytes()
	if err != nil {
		return nil, err
	}
	return withMAC(content, password, iterations)
}

// localKeyID is what the bags of a key and of its certificate have in common.
func localKeyID(c *x509.Certificate) (sum []byte) {
	fips140.WithoutEnforcement(func() {
		s := sha1.Sum(c.Raw)
		sum = s[:]
	})
	return sum
}

// addBag adds a SafeBag (RFC 7292 section 4.2).
func addBag(b *cryptobyte.Builder, kind asn1.ObjectIdentifier, keyID []byte, value cryptobyte.BuilderContinuation) {
	b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(kind)
		b.AddASN1(context0, value)
		if keyID == nil {
			return
		}
		b.AddASN1(cryptobyte_asn1.SET, func(b *cryptobyte.Builder) {
			b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidLocalKeyID)
				b.AddASN1(cryptobyte_asn1.SET, func(b *cryptobyte.Builder) { b.AddASN1OctetString(keyID) })
			})
		})
	})
}

// addCertificate adds a CertBag (section 4.2.3).
func addCertificate(b *cryptobyte.Builder, c *x509.Certificate) {
	b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidX509)
		b.AddASN1(context0, func(b *cryptobyte.Builder) { b.AddASN1OctetString(c.Raw) })
	})
}

// addData adds a ContentInfo of type data (RFC 5652 section 4).
func addData(b *cryptobyte.Builder, content []byte) {
	b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidData)
		b.AddASN1(context0, func(b *cryptobyte.Builder) { b.AddASN1OctetString(content) })
	})
}

// addEncrypted adds a ContentInfo of type encrypted-data (RFC 5652 section 8). sealed is
// its algorithm and its content, as in an EncryptedPrivateKeyInfo.
func addEncrypted(b *cryptobyte.Builder, sealed []byte) {
	s := cryptobyte.String(sealed)
	var fields, algorithm, content cryptobyte.String
	if !s.ReadASN1(&fields, cryptobyte_asn1.SEQUENCE) || !fields.ReadASN1Element(&algorithm, cryptobyte_asn1.SEQUENCE) ||
		!fields.ReadASN1(&content, cryptobyte_asn1.OCTET_STRING) {
		b.SetError(errMalformed)
		return
	}
	b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidEncryptedData)
		b.AddASN1(context0, func(b *cryptobyte.Builder) {
			b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(0)
				b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(oidData)
					b.AddBytes(algorithm)
					b.AddASN1(implicit0, func(b *cryptobyte.Builder) { b.AddBytes(content) })
				})
			})
		})
	})
}

// withMAC returns the PFX around an AuthenticatedSafe, with the integrity check of RFC
// 7292 section 4.
func withMAC(content []byte, password string, iterations int) ([]byte, error) {
	salt := make([]byte, 16)
	rand.Read(salt) // never fails
	var count cryptobyte.Builder
	count.AddASN1Int64(int64(iterations))
	n := cryptobyte.String(count.BytesOrPanic())
	derive, err := pbe.MACKey(sha256.New, salt, &n, pbe.NewBudget(iterations))
	if err != nil {
		return nil, err
	}
	macKey, err := derive(pbe.Forms(password)[0])
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, macKey)
	mac.Write(content)
	var b cryptobyte.Builder
	b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(3)
		addData(b, content)
		b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(oidSHA256)
					b.AddASN1NULL()
				})
				b.AddASN1OctetString(mac.Sum(nil))
			})
			b.AddASN1OctetString(salt)
			b.AddASN1Int64(int64(iterations))
		})
	})
	return b.Bytes()
}
