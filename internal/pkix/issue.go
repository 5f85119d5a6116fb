package pkix

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// crypto/x509 neither certifies ML-DSA and ML-KEM keys nor signs with ML-DSA. What
// it cannot do is made with other keys in their place, and then put right.

// CreateCertificate is x509.CreateCertificate for all kinds of keys: pub is
// certified, by is the key of parent.
func CreateCertificate(t, parent *x509.Certificate, pub crypto.PublicKey, by crypto.Signer) ([]byte, error) {
	info, err := MarshalKeyInfo(pub)
	if err != nil {
		return nil, err
	}
	if _, err := x509.MarshalPKIXPublicKey(pub); err != nil {
		pub = ed25519.PublicKey(make([]byte, ed25519.PublicKeySize))
	} else if !beyondLibrary(by) {
		return x509.CreateCertificate(rand.Reader, t, parent, pub, by)
	}
	s := standIn(by)
	der, err := x509.CreateCertificate(rand.Reader, t, s.parent(parent), pub, s.key)
	if err != nil {
		return nil, err
	}
	// version, serial number, signature, issuer, validity, subject, key
	return s.resign(der, map[int][]byte{2: s.algorithm(der), 6: info})
}

// CreateRevocationList is x509.CreateRevocationList for all kinds of keys.
func CreateRevocationList(t *x509.RevocationList, issuer *x509.Certificate, by crypto.Signer) ([]byte, error) {
	if !beyondLibrary(by) {
		return x509.CreateRevocationList(rand.Reader, t, issuer, by)
	}
	s := standIn(by)
	der, err := x509.CreateRevocationList(rand.Reader, t, s.parent(issuer), s.key)
	if err != nil {
		return nil, err
	}
	return s.resign(der, map[int][]byte{1: s.algorithm(der)}) // version, signature
}

// beyondLibrary reports whether x509 does not sign with this kind of key.
func beyondLibrary(by crypto.Signer) bool {
	_, ok := by.Public().(*MLDSAKey)
	return ok
}

// A substitute is the key that x509 signs with in the place of another.
type substitute struct{ key, real crypto.Signer }

// standIn returns the key itself where x509 knows its kind.
func standIn(by crypto.Signer) substitute {
	if !beyondLibrary(by) {
		return substitute{by, by}
	}
	return substitute{ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), by}
}

// parent returns the issuer with the key that x509 will hold against its public one.
func (s *substitute) parent(c *x509.Certificate) *x509.Certificate {
	issuer := *c
	issuer.PublicKey = s.key.Public()
	return &issuer
}

// algorithm returns the AlgorithmIdentifier of the real signature.
func (s *substitute) algorithm(der []byte) []byte {
	if k, ok := s.real.Public().(*MLDSAKey); ok {
		var b cryptobyte.Builder
		b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(mldsaOf(k).id) })
		return b.BytesOrPanic()
	}
	_, alg, ok := signedParts(der)
	if !ok {
		return nil
	}
	return alg
}

// signedParts takes a signed object apart: what was signed, and the algorithm.
func signedParts(der []byte) (signed, algorithm cryptobyte.String, ok bool) {
	s := cryptobyte.String(der)
	var body cryptobyte.String
	ok = s.ReadASN1(&body, cryptobyte_asn1.SEQUENCE) && body.ReadASN1Element(&signed, cryptobyte_asn1.SEQUENCE) &&
		body.ReadASN1Element(&algorithm, cryptobyte_asn1.SEQUENCE)
	return signed, algorithm, ok
}

// resign replaces elements of what was signed, by their index, and signs it.
func (s *substitute) resign(der []byte, elements map[int][]byte) ([]byte, error) {
	signed, old, ok := signedParts(der)
	algorithm := s.algorithm(der)
	a, _, known := ReadAlgorithm(algorithm)
	var list cryptobyte.String
	if !ok || !known || !signed.ReadASN1(&list, cryptobyte_asn1.SEQUENCE) {
		return nil, fmt.Errorf("signature algorithm %x: cannot be used for certificates", []byte(old))
	}
	var tbs cryptobyte.Builder
	tbs.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for i := 0; !list.Empty(); i++ {
			var element cryptobyte.String
			var tag cryptobyte_asn1.Tag
			if !list.ReadAnyASN1Element(&element, &tag) {
				b.SetError(errNoCertificate)
				return
			}
			if other := elements[i]; other != nil {
				element = other
			}
			b.AddBytes(element)
		}
	})
	raw, err := tbs.Bytes()
	if err != nil {
		return nil, err
	}
	sig, err := a.Sign(s.real, raw)
	if err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(raw)
		b.AddBytes(algorithm)
		b.AddASN1BitString(sig)
	})
	return b.Bytes()
}

// Sign makes a's signature of data. The salt of RSASSA-PSS is as long as the digest.
func (a Algorithm) Sign(key crypto.Signer, data []byte) ([]byte, error) {
	if a.Whole() {
		return key.Sign(rand.Reader, data, crypto.Hash(0))
	}
	h := a.Hash()
	if h == nil {
		return nil, errKeyKind
	}
	h.Write(data)
	var opts crypto.SignerOpts = a.hash
	if a.scheme == PSSScheme {
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: a.hash}
	}
	return key.Sign(rand.Reader, h.Sum(nil), opts)
}
