package pkix

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"hash"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Scheme is a family of signatures.
type Scheme string

// The schemes.
const (
	PKCS1Scheme   Scheme = "rsa-pkcs1"
	PSSScheme     Scheme = "rsa-pss"
	ECDSAScheme   Scheme = "ecdsa"
	Ed25519Scheme Scheme = "ed25519"
	MLDSA44Scheme Scheme = "ml-dsa-44"
	MLDSA65Scheme Scheme = "ml-dsa-65"
	MLDSA87Scheme Scheme = "ml-dsa-87"
	// Those of SLH-DSA are the names of its parameter sets, such as "slh-dsa-sha2-128s".
)

// Algorithm is a signature algorithm with its parameters. The zero value is none.
type Algorithm struct {
	scheme Scheme
	hash   crypto.Hash // 0 where Whole
	pss    PSS
}

var algorithms = []struct {
	id asn1.ObjectIdentifier
	Algorithm
}{
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, Algorithm{scheme: PKCS1Scheme, hash: crypto.SHA256}},
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}, Algorithm{scheme: ECDSAScheme, hash: crypto.SHA256}},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 12}, Algorithm{scheme: PKCS1Scheme, hash: crypto.SHA384}},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13}, Algorithm{scheme: PKCS1Scheme, hash: crypto.SHA512}},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 14}, Algorithm{scheme: PKCS1Scheme, hash: crypto.SHA224}},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 5}, Algorithm{scheme: PKCS1Scheme, hash: crypto.SHA1}},
	{asn1.ObjectIdentifier{1, 3, 14, 3, 2, 29}, Algorithm{scheme: PKCS1Scheme, hash: crypto.SHA1}},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 4}, Algorithm{scheme: PKCS1Scheme, hash: crypto.MD5}},
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}, Algorithm{scheme: ECDSAScheme, hash: crypto.SHA384}},
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}, Algorithm{scheme: ECDSAScheme, hash: crypto.SHA512}},
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 1}, Algorithm{scheme: ECDSAScheme, hash: crypto.SHA224}},
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 1}, Algorithm{scheme: ECDSAScheme, hash: crypto.SHA1}},
	{asn1.ObjectIdentifier{1, 3, 101, 112}, Algorithm{scheme: Ed25519Scheme}},
}

// ReadAlgorithm reads an AlgorithmIdentifier (RFC 5280 section 4.1.1.2). It
// fails, with the object identifier, for what is not supported.
func ReadAlgorithm(der []byte) (a Algorithm, id asn1.ObjectIdentifier, ok bool) {
	s := cryptobyte.String(der)
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, cryptobyte_asn1.SEQUENCE) || !s.Empty() || !seq.ReadASN1ObjectIdentifier(&id) {
		return a, nil, false
	}
	if id.Equal(oidRSAPSS) {
		a.pss, ok = ReadPSS(seq)
		a.scheme, a.hash = PSSScheme, a.pss.Hash
		return a, id, ok
	}
	if a, ok = shakeAlgorithm(id); ok { // RFC 8702 section 3.2: no parameters
		return a, id, seq.Empty()
	}
	if set := mldsaByID(id); set != nil { // RFC 9881 section 2: no parameters
		return Algorithm{scheme: set.scheme}, id, seq.Empty()
	}
	if set := slhdsaByID(id); set != nil { // RFC 9909 section 3: no parameters
		return Algorithm{scheme: set.scheme}, id, seq.Empty()
	}
	for _, known := range algorithms {
		if known.id.Equal(id) {
			// NULL or nothing, whatever the standards say of each: both are written.
			return known.Algorithm, id, absentOrNull(seq)
		}
	}
	return a, id, false
}

// shakeAlgorithm returns the algorithm with SHAKE that an identifier names: id-RSASSA-PSS-SHAKE128,
// -SHAKE256, id-ecdsa-with-shake128 or -shake256 (RFC 8702 section 3.2). The salt is as long as the
// digest.
func shakeAlgorithm(id asn1.ObjectIdentifier) (Algorithm, bool) {
	const first = 30
	n := len(id) - 1
	if n < 0 || !id[:n].Equal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 6}) || id[n] < first || id[n] > first+3 {
		return Algorithm{}, false
	}
	h := SHAKE128 + crypto.Hash((id[n]-first)%2)
	if id[n] < first+2 {
		return Algorithm{scheme: PSSScheme, hash: h, pss: PSS{Hash: h, Mask: h, Salt: HashSize(h)}}, true
	}
	return Algorithm{scheme: ECDSAScheme, hash: h}, true
}

// WithDigest is the algorithm of a scheme whose identifier leaves the digest open:
// rsaEncryption (RFC 3370 section 3.2), and id-ecPublicKey, which some write.
func WithDigest(s Scheme, h crypto.Hash) Algorithm { return Algorithm{scheme: s, hash: h} }

// Scheme returns the family of a.
func (a Algorithm) Scheme() Scheme { return a.scheme }

// Weak reports a digest for which others can find collisions.
func (a Algorithm) Weak() bool { return a.hash == crypto.SHA1 || a.hash == crypto.MD5 }

// Broken reports a digest that is refused whatever the configuration says.
func (a Algorithm) Broken() bool {
	return a.hash == crypto.MD5 || !a.Approved()
}

// Whole reports an algorithm that signs the data itself and not its digest.
func (a Algorithm) Whole() bool {
	switch a.scheme {
	case Ed25519Scheme, MLDSA44Scheme, MLDSA65Scheme, MLDSA87Scheme:
		return true
	}
	return slhdsaByScheme(a.scheme) != nil
}

// SignsWhole reports whether the algorithms of a key are Whole.
func SignsWhole(key crypto.PublicKey) bool {
	switch key.(type) {
	case ed25519.PublicKey, *MLDSAKey, *SLHDSAKey:
		return true
	}
	return false
}

// AllowsDigest reports whether signed attributes may have a digest by h, where the
// signature itself is Whole: SHA-512 with Ed25519 (RFC 8419 section 3), one as strong
// as the key with ML-DSA (RFC 9882 section 3.3) and SLH-DSA (RFC 9814 section 4). All
// others name their digest.
func (a Algorithm) AllowsDigest(h crypto.Hash) bool {
	for _, set := range mldsaSets {
		if set.scheme == a.scheme {
			return HashAvailable(h) && 8*HashSize(h) >= set.digest
		}
	}
	if set := slhdsaByScheme(a.scheme); set != nil {
		return HashAvailable(h) && 8*HashSize(h) >= set.digest
	}
	if a.Whole() {
		return h == crypto.SHA512
	}
	return h == a.hash
}

// Hash returns a new hash for the data; nil where Whole.
func (a Algorithm) Hash() hash.Hash {
	if a.hash == 0 {
		return nil
	}
	return NewHash(a.hash)
}

// Digest is the name of the digest, for explanations.
func (a Algorithm) Digest() string {
	if shakes(a.hash) {
		return DigestName(a.hash)
	}
	return a.hash.String()
}

// Verify reports whether sig is a's signature of data by key.
func (a Algorithm) Verify(key crypto.PublicKey, data, sig []byte) bool {
	if a.Whole() {
		spent.Add(int64(Effort(key)))
		return a.verifyWhole(key, data, sig)
	}
	h := a.Hash()
	if h == nil || !a.Approved() {
		return false
	}
	h.Write(data)
	return a.VerifyDigest(key, h.Sum(nil), sig)
}

func (a Algorithm) verifyWhole(key crypto.PublicKey, data, sig []byte) bool {
	switch k := key.(type) {
	case ed25519.PublicKey:
		return a.scheme == Ed25519Scheme && len(k) == ed25519.PublicKeySize && ed25519.Verify(k, data, sig)
	case *MLDSAKey:
		set := mldsaOf(k)
		return set.scheme == a.scheme && set.verify(k, data, sig)
	case *SLHDSAKey:
		return k.set.scheme == a.scheme && k.verify(data, sig)
	}
	return false
}

// VerifyDigest is Verify for data that was hashed already.
func (a Algorithm) VerifyDigest(key crypto.PublicKey, digest, sig []byte) bool {
	spent.Add(int64(Effort(key)))
	switch k := key.(type) {
	case *rsa.PublicKey:
		return a.verifyRSA(k, digest, sig)
	case PSSKey:
		return a.within(k.Limit) && a.verifyRSA(k.PublicKey, digest, sig)
	case *ecdsa.PublicKey:
		return a.scheme == ECDSAScheme && ecdsa.VerifyASN1(k, digest, sig)
	case *BrainpoolKey:
		return a.scheme == ECDSAScheme && k.Verify(digest, sig)
	}
	return false
}

// within reports whether a PSS key with parameters allows a.
func (a Algorithm) within(limit *PSS) bool {
	return a.scheme == PSSScheme && (limit == nil || a.pss.Within(*limit))
}

func (a Algorithm) verifyRSA(key *rsa.PublicKey, digest, sig []byte) bool {
	switch {
	case checkRSA(key) != nil:
		return false
	case a.scheme == PKCS1Scheme:
		return verifyPKCS1(key, a.hash, digest, sig)
	case a.scheme == PSSScheme:
		return a.pss.Verify(key, digest, sig)
	}
	return false
}

// SignatureAlgorithm reads the algorithm of c's signature. That the one inside the
// signed part is the same was checked when c was parsed.
func SignatureAlgorithm(c *x509.Certificate) (a Algorithm, id asn1.ObjectIdentifier, ok bool) {
	s := cryptobyte.String(c.Raw)
	var seq, alg cryptobyte.String
	if !s.ReadASN1(&seq, cryptobyte_asn1.SEQUENCE) || !seq.SkipASN1(cryptobyte_asn1.SEQUENCE) ||
		!seq.ReadASN1Element(&alg, cryptobyte_asn1.SEQUENCE) {
		return a, nil, false
	}
	return ReadAlgorithm(alg)
}

// SignedBy reports whether c bears the signature of issuer, which may issue
// certificates. With MD5 it never counts, with SHA-1 where that is allowed. It is no
// path validation.
func SignedBy(c, issuer *x509.Certificate, allowSHA1 bool) bool {
	a, _, ok := SignatureAlgorithm(c)
	if !ok || a.Broken() || a.Weak() && !allowSHA1 || !mayIssue(issuer) {
		return false
	}
	key := PublicKey(issuer)
	return CheckKey(key, MinRSAArchive) == nil && a.Verify(key, c.RawTBSCertificate, c.Signature)
}

// mayIssue leaves certificates of version 1, which say nothing about it, to the caller that
// trusts them.
func mayIssue(c *x509.Certificate) bool {
	return (c.BasicConstraintsValid && c.IsCA || c.Version < 3) && (c.KeyUsage == 0 || c.KeyUsage&x509.KeyUsageCertSign != 0)
}
