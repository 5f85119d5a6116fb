package ocsp

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// The values of OCSPResponseStatus that are used (RFC 6960 section 4.2.1).
const (
	successful   = 0
	malformed    = 1
	tryLater     = 3
	unauthorized = 6
)

var oidBasic = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1}

// failure returns an OCSPResponse that says why there is no answer.
func failure(status int64) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1Enum(status) })
	return b.BytesOrPanic()
}

// single is the answer about one certificate.
type single struct {
	id pkix.CertID
	Status
}

// response is a BasicOCSPResponse to be signed.
type response struct {
	by                         Delegate
	singles                    []single
	nonce                      []byte
	produced, thisUpdate, next time.Time
}

// sign returns the OCSPResponse.
func (r *response) sign() ([]byte, error) {
	algorithm, a, err := signatureOf(r.by.Certificate)
	if err != nil {
		return nil, err
	}
	tbs, err := r.data()
	if err != nil {
		return nil, err
	}
	signature, err := a.Sign(r.by.Key, tbs)
	if err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Enum(successful)
		b.AddASN1(contextTag(0), func(b *cryptobyte.Builder) {
			b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidBasic)
				b.AddASN1(cryptobyte_asn1.OCTET_STRING, func(b *cryptobyte.Builder) { r.basic(b, tbs, algorithm, signature) })
			})
		})
	})
	return b.Bytes()
}

func (r *response) basic(b *cryptobyte.Builder, tbs, algorithm, signature []byte) {
	b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		b.AddBytes(algorithm)
		b.AddASN1BitString(signature)
		b.AddASN1(contextTag(0), func(b *cryptobyte.Builder) {
			b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(r.by.Certificate.Raw) })
		})
	})
}

// data is ResponseData.
func (r *response) data() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(contextTag(1), func(b *cryptobyte.Builder) { b.AddBytes(r.by.Certificate.RawSubject) }) // byName
		b.AddASN1GeneralizedTime(r.produced)
		b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, s := range r.singles {
				r.single(b, s)
			}
		})
		if r.nonce != nil {
			b.AddASN1(contextTag(1), func(b *cryptobyte.Builder) {
				b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) { addNonce(b, r.nonce) })
			})
		}
	})
	return b.Bytes()
}

func addNonce(b *cryptobyte.Builder, nonce []byte) {
	b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidNonce)
		b.AddASN1(cryptobyte_asn1.OCTET_STRING, func(b *cryptobyte.Builder) { b.AddASN1OctetString(nonce) })
	})
}

// single is SingleResponse.
func (r *response) single(b *cryptobyte.Builder, s single) {
	b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(s.id.DER)
		switch {
		case !s.Known:
			b.AddASN1(cryptobyte_asn1.Tag(2).ContextSpecific(), func(*cryptobyte.Builder) {})
		case s.RevokedAt.IsZero():
			b.AddASN1(cryptobyte_asn1.Tag(0).ContextSpecific(), func(*cryptobyte.Builder) {})
		default:
			b.AddASN1(contextTag(1), func(b *cryptobyte.Builder) {
				b.AddASN1GeneralizedTime(s.RevokedAt.UTC())
				if s.Reason != 0 { // unspecified is not written (RFC 5280 section 5.3.1)
					b.AddASN1(contextTag(0), func(b *cryptobyte.Builder) { b.AddASN1Enum(int64(s.Reason)) })
				}
			})
		}
		b.AddASN1GeneralizedTime(r.thisUpdate)
		b.AddASN1(contextTag(0), func(b *cryptobyte.Builder) { b.AddASN1GeneralizedTime(r.next) })
	})
}

var errAlgorithm = errors.New("OCSP: the signature algorithm of the responder cannot be used")

// signatureOf returns the AlgorithmIdentifier for signatures by the key of a delegate: that
// of its certificate, whose issuer has a key of the same kind.
func signatureOf(delegate *x509.Certificate) ([]byte, pkix.Algorithm, error) {
	var body, tbs, algorithm cryptobyte.String
	der := cryptobyte.String(delegate.Raw)
	if !der.ReadASN1(&body, cryptobyte_asn1.SEQUENCE) || !body.ReadASN1Element(&tbs, cryptobyte_asn1.SEQUENCE) ||
		!body.ReadASN1Element(&algorithm, cryptobyte_asn1.SEQUENCE) {
		return nil, pkix.Algorithm{}, errAlgorithm
	}
	a, _, ok := pkix.ReadAlgorithm(algorithm)
	if !ok {
		return nil, a, errAlgorithm
	}
	return algorithm, a, nil
}
