//go:build cgo

package cryptoki

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"

	"github.com/miekg/pkcs11"

	"github.com/smimerelay/smimerelay/certs/token/contract"
)

// rsaKey is an RSA key in a token.
type rsaKey struct {
	private
	public *rsa.PublicKey
	// bad are the errors with which the token answers to a bad padding.
	bad map[pkcs11.Error]bool
}

// hashNames are a hash's object identifier and its names in PKCS #11.
type hashNames struct {
	oid       asn1.ObjectIdentifier
	hash, mgf uint
}

var hashes = map[crypto.Hash]hashNames{
	crypto.SHA1:   {asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, pkcs11.CKM_SHA_1, pkcs11.CKG_MGF1_SHA1},
	crypto.SHA256: {asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, pkcs11.CKM_SHA256, pkcs11.CKG_MGF1_SHA256},
	crypto.SHA384: {asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, pkcs11.CKM_SHA384, pkcs11.CKG_MGF1_SHA384},
	crypto.SHA512: {asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, pkcs11.CKM_SHA512, pkcs11.CKG_MGF1_SHA512},
}

// sign makes a PSS or a PKCS #1 v1.5 signature.
func (k *rsaKey) sign(p *pool, s *session, a contract.Algorithm, digest []byte) ([]byte, error) {
	names, ok := hashes[contract.HashOf(a.Hash)]
	if !ok || len(digest) != contract.HashOf(a.Hash).Size() {
		return nil, contract.Errorf(contract.Unsupported, "digest %q of %d octets", a.Hash, len(digest))
	}
	switch {
	case a.Scheme == contract.RSAPSS && a.Salt > 0:
		params := pkcs11.NewPSSParams(names.hash, names.mgf, uint(a.Salt))
		return k.signWith(p, s, pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS_PSS, params), digest)
	case a.Scheme == contract.RSAPKCS1:
		// The token pads what it is given: a DigestInfo (RFC 8017 section 9.2).
		info, err := asn1.Marshal(struct {
			Algorithm pkix.AlgorithmIdentifier
			Digest    []byte
		}{pkix.AlgorithmIdentifier{Algorithm: names.oid, Parameters: asn1.NullRawValue}, digest})
		if err != nil {
			return nil, err
		}
		return k.signWith(p, s, pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS, nil), info)
	}
	return nil, contract.Errorf(contract.Unsupported, "no signature by %q", a.Scheme)
}

func decryptMechanism(a contract.Algorithm) (*pkcs11.Mechanism, error) {
	switch a.Scheme {
	case contract.RSAPKCS1:
		return pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS, nil), nil
	case contract.RSAOAEP:
		names, ok := hashes[contract.HashOf(a.Hash)]
		mask, known := hashes[contract.HashOf(a.MaskHash)]
		if ok && known {
			params := pkcs11.NewOAEPParams(names.hash, mask.mgf, pkcs11.CKZ_DATA_SPECIFIED, a.Label)
			return pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS_OAEP, params), nil
		}
	}
	return nil, contract.Errorf(contract.Unsupported, "no decryption by %q with %q and %q", a.Scheme, a.Hash, a.MaskHash)
}

// decrypt returns nil for what the token does not decrypt. The session is looked
// at in any case, so that a good and a bad padding take the same way, and a token
// that died in the act is found out.
func (k *rsaKey) decrypt(p *pool, s *session, a contract.Algorithm, msg []byte) ([]byte, error) {
	m, err := decryptMechanism(a)
	if err != nil {
		return nil, err
	}
	if err := k.begin(p, s, s.api.DecryptInit, m); err != nil {
		return nil, err
	}
	plain, err := s.api.Decrypt(s.handle, msg)
	if lost(err) || broken(err) && !k.bad[code(err)] {
		return nil, err
	}
	if _, gone := s.loggedIn(); gone != nil {
		return nil, gone
	}
	if err != nil {
		return nil, nil
	}
	return append([]byte{}, plain...), nil
}

// learn finds out how the token answers to a bad padding: SoftHSM with a general
// error, which of others means that they failed. What it says then is never
// taken for a failure, or the answer to a sender would be an oracle.
func (k *rsaKey) learn(p *pool, s *session) error {
	k.bad = map[pkcs11.Error]bool{}
	for _, head := range [][]byte{{0, 1}, {0, 2}} {
		// A block of type 1, and one of type 2 without an end of its padding.
		block := append(head, bytes.Repeat([]byte{0x55}, k.public.Size()-len(head))...)
		c := new(big.Int).Exp(new(big.Int).SetBytes(block), big.NewInt(int64(k.public.E)), k.public.N)
		err := k.begin(p, s, s.api.DecryptInit, pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS, nil))
		if unable(err) {
			return nil // a key that only signs
		}
		if err != nil {
			return err
		}
		_, err = s.api.Decrypt(s.handle, c.FillBytes(make([]byte, k.public.Size())))
		if lost(err) {
			return err
		}
		if c := code(err); c != pkcs11.CKR_OK {
			k.bad[c] = true
		}
	}
	return nil
}
