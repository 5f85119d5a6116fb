package cms

import (
	"crypto"
	"errors"
	"testing"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// A signer's algorithm is read by the table that certificates are read by, and agrees
// with the digest that the signer names.
func TestSignatureAlgorithms(t *testing.T) {
	const oiwSHA1RSA = "\x2b\x0e\x03\x02\x1d" // 1.3.14.3.2.29
	for name, tc := range map[string]struct {
		oid    string
		params []byte
		digest crypto.Hash
		scheme pkix.Scheme
		want   error
	}{
		"rsaEncryption takes the digest":    {oidRSA, null(), crypto.SHA384, pkix.PKCS1Scheme, nil},
		"id-ecPublicKey takes the digest":   {oidECPublicKey, nil, crypto.SHA384, pkix.ECDSAScheme, nil},
		"with NULL":                         {oidSHA256RSA, null(), crypto.SHA256, pkix.PKCS1Scheme, nil},
		"without parameters":                {oidSHA256RSA, nil, crypto.SHA256, pkix.PKCS1Scheme, nil},
		"with others":                       {oidSHA256RSA, []byte{tagInteger, 1, 1}, crypto.SHA256, "", ErrUnsupported},
		"of OIW":                            {oiwSHA1RSA, null(), crypto.SHA1, pkix.PKCS1Scheme, nil},
		"another digest":                    {oidECDSASHA256, nil, crypto.SHA512, "", ErrMalformed},
		"Ed25519 with SHA-512":              {oidEd25519, nil, crypto.SHA512, pkix.Ed25519Scheme, nil},
		"Ed25519 with SHA-256":              {oidEd25519, nil, crypto.SHA256, "", ErrMalformed},
		"a cipher":                          {oidAES128CBC, nil, crypto.SHA256, "", ErrUnsupported},
		"PSS, whose digest is its own":      {oidPSS, pssParams(crypto.SHA384), crypto.SHA384, pkix.PSSScheme, nil},
		"PSS, whose digest is not the same": {oidPSS, pssParams(crypto.SHA384), crypto.SHA256, "", ErrMalformed},
	} {
		got, err := signatureAlgorithm(algorithm{oid: []byte(tc.oid), params: tc.params}, tc.digest)
		if !errors.Is(err, tc.want) || err == nil && got.Scheme() != tc.scheme {
			t.Errorf("%s: %q, %v", name, got.Scheme(), err)
		}
	}
}
