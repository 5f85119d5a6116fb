package pkix

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
)

// fillLibraryNames names the algorithms as crypto/x509 does, so that its functions
// can be used on what was read here where it knows them.
func fillLibraryNames(c *x509.Certificate) {
	switch c.PublicKey.(type) {
	case *rsa.PublicKey:
		c.PublicKeyAlgorithm = x509.RSA
	case *ecdsa.PublicKey:
		c.PublicKeyAlgorithm = x509.ECDSA
	case ed25519.PublicKey:
		c.PublicKeyAlgorithm = x509.Ed25519
	}
	if a, _, ok := SignatureAlgorithm(c); ok {
		c.SignatureAlgorithm = libraryAlgorithms[libraryAlgorithm{a.scheme, a.hash}]
	}
}

type libraryAlgorithm struct {
	scheme Scheme
	hash   crypto.Hash
}

var libraryAlgorithms = map[libraryAlgorithm]x509.SignatureAlgorithm{
	{PKCS1Scheme, crypto.MD5}:    x509.MD5WithRSA,
	{PKCS1Scheme, crypto.SHA1}:   x509.SHA1WithRSA,
	{PKCS1Scheme, crypto.SHA256}: x509.SHA256WithRSA,
	{PKCS1Scheme, crypto.SHA384}: x509.SHA384WithRSA,
	{PKCS1Scheme, crypto.SHA512}: x509.SHA512WithRSA,
	{PSSScheme, crypto.SHA256}:   x509.SHA256WithRSAPSS,
	{PSSScheme, crypto.SHA384}:   x509.SHA384WithRSAPSS,
	{PSSScheme, crypto.SHA512}:   x509.SHA512WithRSAPSS,
	{ECDSAScheme, crypto.SHA1}:   x509.ECDSAWithSHA1,
	{ECDSAScheme, crypto.SHA256}: x509.ECDSAWithSHA256,
	{ECDSAScheme, crypto.SHA384}: x509.ECDSAWithSHA384,
	{ECDSAScheme, crypto.SHA512}: x509.ECDSAWithSHA512,
	{Ed25519Scheme, 0}:           x509.PureEd25519,
}
