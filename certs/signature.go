package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"

	_ "crypto/sha1" // hashes are made by their identifier
	_ "crypto/sha256"
	_ "crypto/sha512"
)

// signing is a signature algorithm of certificates.
type signing struct {
	hash crypto.Hash // 0 for Ed25519
	pss  bool
	salt int // octets, with pss
	key  x509.PublicKeyAlgorithm
}

var signings = map[x509.SignatureAlgorithm]signing{
	x509.SHA1WithRSA:      {hash: crypto.SHA1, key: x509.RSA},
	x509.SHA256WithRSA:    {hash: crypto.SHA256, key: x509.RSA},
	x509.SHA384WithRSA:    {hash: crypto.SHA384, key: x509.RSA},
	x509.SHA512WithRSA:    {hash: crypto.SHA512, key: x509.RSA},
	x509.SHA256WithRSAPSS: {hash: crypto.SHA256, key: x509.RSA, pss: true, salt: 32},
	x509.SHA384WithRSAPSS: {hash: crypto.SHA384, key: x509.RSA, pss: true, salt: 48},
	x509.SHA512WithRSAPSS: {hash: crypto.SHA512, key: x509.RSA, pss: true, salt: 64},
	x509.ECDSAWithSHA1:    {hash: crypto.SHA1, key: x509.ECDSA},
	x509.ECDSAWithSHA256:  {hash: crypto.SHA256, key: x509.ECDSA},
	x509.ECDSAWithSHA384:  {hash: crypto.SHA384, key: x509.ECDSA},
	x509.ECDSAWithSHA512:  {hash: crypto.SHA512, key: x509.ECDSA},
	x509.PureEd25519:      {key: x509.Ed25519},
}

// weak reports a digest that others can find collisions for.
func (s signing) weak() bool { return s.hash == crypto.SHA1 || s.hash == crypto.MD5 }

// signingOf returns the algorithm of c's signature.
func signingOf(c *x509.Certificate) (signing, *problem) {
	switch c.SignatureAlgorithm {
	case x509.MD2WithRSA, x509.MD5WithRSA:
		return signing{}, refuse(WeakSignature, c, "signed with %s", c.SignatureAlgorithm)
	}
	s, ok := signings[c.SignatureAlgorithm]
	if !ok {
		return s, refuse(UnsupportedSigning, c, "its signature algorithm is not supported")
	}
	return s, nil
}

// checkSignature reports whether c bears the signature of the key.
func checkSignature(c *x509.Certificate, key crypto.PublicKey) *problem {
	s, p := signingOf(c)
	if p != nil {
		return p
	}
	if !s.verify(key, c.RawTBSCertificate, c.Signature) {
		return refuse(BadSignature, c, "its signature is not that of %q", c.Issuer)
	}
	return nil
}

func (s signing) verify(key crypto.PublicKey, data, sig []byte) bool {
	if s.hash == 0 {
		k, ok := key.(ed25519.PublicKey)
		return ok && s.key == x509.Ed25519 && len(k) == ed25519.PublicKeySize && ed25519.Verify(k, data, sig)
	}
	h := s.hash.New()
	h.Write(data)
	digest := h.Sum(nil)
	if k, ok := key.(pssKey); ok && s.pss {
		key = k.PublicKey
	}
	switch k := key.(type) {
	case *rsa.PublicKey:
		return s.key == x509.RSA && k.N.BitLen() <= maxRSA && s.verifyRSA(k, digest, sig)
	case *ecdsa.PublicKey:
		return s.key == x509.ECDSA && ecdsa.VerifyASN1(k, digest, sig)
	}
	return false
}

func (s signing) verifyRSA(key *rsa.PublicKey, digest, sig []byte) bool {
	if s.pss {
		return rsa.VerifyPSS(key, s.hash, digest, sig, &rsa.PSSOptions{SaltLength: s.salt}) == nil
	}
	return rsa.VerifyPKCS1v15(key, s.hash, digest, sig) == nil
}
