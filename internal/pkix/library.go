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
	scheme scheme
	hash   crypto.Hash
}

var libraryAlgorithms = map[libraryAlgorithm]x509.SignatureAlgorithm{
	{pkcs1, crypto.MD5}:             x509.MD5WithRSA,
	{pkcs1, crypto.SHA1}:            x509.SHA1WithRSA,
	{pkcs1, crypto.SHA256}:          x509.SHA256WithRSA,
	{pkcs1, crypto.SHA384}:          x509.SHA384WithRSA,
	{pkcs1, crypto.SHA512}:          x509.SHA512WithRSA,
	{pssSignature, crypto.SHA256}:   x509.SHA256WithRSAPSS,
	{pssSignature, crypto.SHA384}:   x509.SHA384WithRSAPSS,
	{pssSignature, crypto.SHA512}:   x509.SHA512WithRSAPSS,
	{ecdsaSignature, crypto.SHA1}:   x509.ECDSAWithSHA1,
	{ecdsaSignature, crypto.SHA256}: x509.ECDSAWithSHA256,
	{ecdsaSignature, crypto.SHA384}: x509.ECDSAWithSHA384,
	{ecdsaSignature, crypto.SHA512}: x509.ECDSAWithSHA512,
	{ed25519Signature, 0}:           x509.PureEd25519,
}
