package cms

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"iter"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// VerifyOptions are what Verify needs besides the object.
type VerifyOptions struct {
	// Content is the detached content, in pieces. Where it is given it is what
	// counts, also if the object bears a content of its own.
	Content [][]byte
	// Digests replace Content: its digest by each function that
	// SignedData.Digests names.
	Digests map[crypto.Hash][]byte
	// Certificates are searched for the signers' after those of the message.
	Certificates []*x509.Certificate
	// AllowWeak accepts SHA-1 and RSA keys from 1024 bits; the result's Weak
	// names them.
	AllowWeak bool
	// AllowBare accepts signatures over the content itself, without signed
	// attributes; the result says Bare.
	AllowBare bool
}

// SignerResult is what is known of one signer.
type SignerResult struct {
	// Err is nil if the signature is good, which says nothing about the
	// certificate. Otherwise it is one of ErrSignature, ErrDigest,
	// ErrAttributes, ErrNoCertificate, ErrCertificate, ErrWeak,
	// ErrNotApproved, ErrUnsupported, ErrMalformed.
	Err error
	// ID is who the signer says it is.
	ID ID
	// Certificate bears the key of the signature, nil if it was not found.
	// Where Err is set it is the one that would have been used.
	Certificate *x509.Certificate
	// Digest and Signature are the algorithms; 0 and "" where unknown.
	Digest    crypto.Hash
	Signature SignatureScheme
	// Weak says what is weak in a signature that AllowWeak let pass, WeakDigest
	// and WeakKey whether it is the digest or the key.
	Weak                string
	WeakDigest, WeakKey bool
	// Bare says that there are no signed attributes: nothing binds the
	// signature to its algorithms, its certificate and its time.
	Bare bool
	// SigningTime is what the signer claims; zero where absent.
	SigningTime time.Time
	// Capabilities and EncryptionID (the certificate that the signer wants to
	// be encrypted to) are set for good signatures only.
	Capabilities Capabilities
	EncryptionID *ID
	// signed and unsigned are the attributes of a good signature, as elements.
	signed, unsigned []byte
}

// SignatureScheme is a family of signature algorithms, whatever their digest.
type SignatureScheme string

// The signature schemes.
const (
	RSAPKCS1 SignatureScheme = "rsa-pkcs1" // RSASSA-PKCS1-v1_5
	RSAPSS   SignatureScheme = "rsa-pss"   // RSASSA-PSS
	ECDSA    SignatureScheme = "ecdsa"
	Ed25519  SignatureScheme = "ed25519"
	MLDSA44  SignatureScheme = "ml-dsa-44"
	MLDSA65  SignatureScheme = "ml-dsa-65"
	MLDSA87  SignatureScheme = "ml-dsa-87"
)

// Verify checks every signature over the content, and returns one result for
// each signer, in the order of the message. It says nothing about trust.
//
// Signed attributes are demanded where AllowBare does not say otherwise.
func (s *SignedData) Verify(o VerifyOptions) []SignerResult {
	v := verifier{data: s, options: o, digests: make(map[crypto.Hash][]byte)}
	results := make([]SignerResult, len(s.signers))
	for i := range s.signers {
		r := &results[i]
		r.ID = s.signers[i].id
		r.Err = v.verify(&s.signers[i], r)
		if r.Err != nil {
			r.Capabilities, r.EncryptionID = nil, nil
			continue
		}
		r.signed, r.unsigned = s.signers[i].attrs, s.signers[i].unsigned
	}
	return results
}

// A verifier keeps the digests of one content for all its signers.
type verifier struct {
	data    *SignedData
	options VerifyOptions
	digests map[crypto.Hash][]byte
}

// verify checks one signer and fills r.
func (v *verifier) verify(s *signerInfo, r *SignerResult) error {
	hash := digestOf(s.digest)
	if hash == 0 {
		return unsupported("digest %v", s.digest)
	}
	r.Digest = hash
	if err := approvedDigest(hash); err != nil {
		return err
	}
	alg, err := signatureAlgorithm(s.signature, hash)
	if err != nil {
		return err
	}
	r.Signature = SignatureScheme(alg.Scheme())
	candidates := v.candidates(s.id)
	if len(candidates) > 0 {
		r.Certificate = candidates[0]
	}
	if !v.data.listed(s.digest) {
		return malformed("digest %s is not listed", DigestName(hash))
	}
	if s.attrs == nil {
		return v.verifyBare(s, candidates, alg, r)
	}
	attrs, err := parseAttributes(s.attrs)
	if err != nil {
		return err
	}
	if s.unsigned != nil {
		if err := checkUnsigned(s.unsigned); err != nil {
			return err
		}
	}
	r.SigningTime, r.Capabilities, r.EncryptionID = attrs.time, attrs.capabilities, attrs.preference
	if err := v.checkAttributes(attrs, s, hash); err != nil {
		return err
	}
	if err := v.checkStrength(hash, r); err != nil {
		return err
	}
	return v.tryCertificates(candidates, attrs, forms(s.attrs), s.value, alg, r)
}

// checkStrength refuses weak digests, or notes them in r.
func (v *verifier) checkStrength(hash crypto.Hash, r *SignerResult) error {
	switch hash {
	case crypto.SHA256, crypto.SHA384, crypto.SHA512, pkix.SHAKE128, pkix.SHAKE256:
		return nil
	}
	if hash == crypto.MD5 || !v.options.AllowWeak {
		return weak("digest %s", DigestName(hash))
	}
	r.Weak, r.WeakDigest = DigestName(hash), true
	return nil
}

// checkAttributes holds the attributes against the content and the algorithms.
func (v *verifier) checkAttributes(a *attributes, s *signerInfo, hash crypto.Hash) error {
	if !bytes.Equal(a.contentType, v.data.contentType) {
		return badAttributes("content type is %s", typeOf(a.contentType))
	}
	if err := a.checkProtection(s); err != nil {
		return err
	}
	digest, err := v.digest(hash)
	if err != nil {
		return err
	}
	if !bytes.Equal(a.digest, digest) {
		return ErrDigest
	}
	return nil
}

// candidates returns the certificates that id names: several may share a
// subject key identifier (RFC 8551 section 2.6).
func (v *verifier) candidates(id ID) []*x509.Certificate {
	var found []*x509.Certificate
	for _, list := range [...][]*x509.Certificate{v.data.Certificates, v.options.Certificates} {
		for _, cert := range list {
			if len(found) < maxSameID && id.Matches(cert) {
				found = append(found, cert)
			}
		}
	}
	return found
}

// maxSameID is how many certificates with one identifier are tried.
const maxSameID = 8

// tryCertificates verifies with each candidate until one fits.
func (v *verifier) tryCertificates(candidates []*x509.Certificate, a *attributes, covered iter.Seq[[]byte], sig []byte, alg pkix.Algorithm, r *SignerResult) error {
	err := v.data.missing(r.ID)
	for _, cert := range candidates {
		if !a.identifies(cert) {
			err = badAttributes("signing certificate is another one")
			continue
		}
		r.Certificate = cert
		weakKey, e := v.tryCertificate(cert, covered, sig, alg)
		if e == nil {
			if r.WeakKey = weakKey; weakKey {
				r.Weak = strings.TrimPrefix(r.Weak+", RSA key below 2048 bits", ", ")
			}
			return nil
		}
		err = e
	}
	return err
}

func (v *verifier) tryCertificate(cert *x509.Certificate, covered iter.Seq[[]byte], sig []byte, alg pkix.Algorithm) (weakKey bool, err error) {
	key, err := publicKey(cert)
	if err != nil {
		return false, err
	}
	if err := checkKey(key, minRSABits(v.options.AllowWeak)); err != nil {
		return false, err
	}
	weakKey = checkKey(key, pkix.MinRSA) != nil
	for octets := range covered {
		if alg.Verify(key, octets, sig) {
			return weakKey, nil
		}
	}
	return weakKey, ErrSignature
}

// digest returns the digest of the content, computed once.
func (v *verifier) digest(h crypto.Hash) ([]byte, error) {
	if d, ok := v.digests[h]; ok {
		return d, nil
	}
	if h == crypto.MD5 {
		return nil, weak("digest md5")
	}
	if d, ok := v.options.Digests[h]; ok && len(d) == pkix.HashSize(h) {
		v.digests[h] = d
		return d, nil
	}
	if d, ok := v.data.read[h]; ok && v.options.Content == nil && v.options.Digests == nil {
		return d, nil
	}
	if v.options.Digests != nil || v.data.read != nil && v.options.Content == nil {
		return nil, unsupported("no %s digest of the content at hand", DigestName(h))
	}
	state := pkix.NewHash(h)
	if v.options.Content != nil || v.data.Content == nil {
		for _, piece := range v.options.Content {
			state.Write(piece)
		}
	} else {
		for piece := range v.data.Content.Chunks() {
			state.Write(piece)
		}
	}
	v.digests[h] = state.Sum(nil)
	return v.digests[h], nil
}
