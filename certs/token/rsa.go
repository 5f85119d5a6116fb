//go:build pkcs11

package token

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"

	"github.com/miekg/pkcs11"

	"github.com/smimerelay/smimerelay/smime/cms"
)

// rsaKey is an RSA key in a token: crypto.Signer, crypto.Decrypter and
// cms.Device.
type rsaKey struct {
	key
	public *rsa.PublicKey
	// bad are the errors with which the token answers to a bad padding.
	bad map[pkcs11.Error]bool
}

// Public implements crypto.Signer.
func (k *rsaKey) Public() crypto.PublicKey { return k.public }

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

// Sign implements crypto.Signer: a PSS signature where opts asks for one, else
// PKCS #1 v1.5.
func (k *rsaKey) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	names, ok := hashes[opts.HashFunc()]
	if !ok || len(digest) != opts.HashFunc().Size() {
		return nil, fmt.Errorf("%w: digest %v of %d octets", cms.ErrUnsupported, opts.HashFunc(), len(digest))
	}
	if pss, ok := opts.(*rsa.PSSOptions); ok {
		return k.signPSS(digest, names, pss)
	}
	// The token pads what it is given: a DigestInfo (RFC 8017 section 9.2).
	info, err := asn1.Marshal(struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}{pkix.AlgorithmIdentifier{Algorithm: names.oid, Parameters: asn1.NullRawValue}, digest})
	if err != nil {
		return nil, err
	}
	return k.sign(pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS, nil), info, func(signature []byte) bool {
		return rsa.VerifyPKCS1v15(k.public, opts.HashFunc(), digest, signature) == nil
	})
}

func (k *rsaKey) signPSS(digest []byte, names hashNames, o *rsa.PSSOptions) ([]byte, error) {
	salt := o.SaltLength
	if salt == rsa.PSSSaltLengthEqualsHash {
		salt = o.Hash.Size()
	}
	if salt <= 0 {
		return nil, fmt.Errorf("%w: salt of %d octets", cms.ErrUnsupported, salt)
	}
	params := pkcs11.NewPSSParams(names.hash, names.mgf, uint(salt))
	return k.sign(pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS_PSS, params), digest, func(signature []byte) bool {
		return rsa.VerifyPSS(k.public, o.Hash, digest, signature, o) == nil
	})
}

// errPadding is every answer about a ciphertext that is not a plaintext.
var errPadding = errors.New("decryption failed")

// Decrypt implements crypto.Decrypter, without session keys of a given length:
// implicit rejection is package cms'. An error wraps cms.ErrDevice if the token
// failed and cms.ErrUnsupported if it does not know the algorithm; both without
// regard to the ciphertext. All others are one.
func (k *rsaKey) Decrypt(_ io.Reader, msg []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	m, err := decryptMechanism(opts)
	if err != nil {
		return nil, err
	}
	c := new(big.Int).SetBytes(msg)
	if c.Cmp(k.public.N) >= 0 { // RFC 8017 section 5.1.2; everybody can see that
		return nil, errPadding
	}
	plain, err := k.decrypt(m, c.FillBytes(make([]byte, k.public.Size())))
	if err != nil {
		return nil, k.pool.uri.failure("decrypting", err)
	}
	if plain == nil {
		return nil, errPadding
	}
	return plain, nil
}

func decryptMechanism(opts crypto.DecrypterOpts) (*pkcs11.Mechanism, error) {
	switch o := opts.(type) {
	// RFC 8551 section 2.3 demands it.
	case *rsa.PKCS1v15DecryptOptions:
		if o.SessionKeyLen == 0 {
			return pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS, nil), nil
		}
	case *rsa.OAEPOptions:
		names, ok := hashes[o.Hash]
		mask, known := hashes[o.MGFHash]
		if o.MGFHash == 0 {
			mask, known = names, ok
		}
		if ok && known {
			params := pkcs11.NewOAEPParams(names.hash, mask.mgf, pkcs11.CKZ_DATA_SPECIFIED, o.Label)
			return pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS_OAEP, params), nil
		}
	}
	return nil, fmt.Errorf("%w: decryption with %+v", cms.ErrUnsupported, opts)
}

// decrypt returns nil for what the token does not decrypt. The session is looked
// at in any case, so that a good and a bad padding take the same way, and a token
// that died in the act is found out.
func (k *rsaKey) decrypt(m *pkcs11.Mechanism, msg []byte) ([]byte, error) {
	return do(k.pool, func(s *session) ([]byte, error) {
		if err := k.begin(s, s.api.DecryptInit, m); err != nil {
			return nil, err
		}
		plain, err := s.api.Decrypt(s.handle, msg)
		if lost(err) || broken(err) && !k.expected(err) {
			return nil, err
		}
		if _, gone := s.loggedIn(); gone != nil {
			return nil, gone
		}
		if err != nil {
			return nil, nil
		}
		return append([]byte{}, plain...), nil
	})
}

func (k *rsaKey) expected(err error) bool { return k.bad[code(err)] }

// learn finds out how the token answers to a bad padding: SoftHSM with a general
// error, which of others means that they failed. What it says then is never
// taken for a failure, or the answer to a sender would be an oracle.
func (k *rsaKey) learn(s *session) error {
	k.bad = map[pkcs11.Error]bool{}
	for _, head := range [][]byte{{0, 1}, {0, 2}} {
		// A block of type 1, and one of type 2 without an end of its padding.
		block := append(head, bytes.Repeat([]byte{0x55}, k.public.Size()-len(head))...)
		c := new(big.Int).Exp(new(big.Int).SetBytes(block), big.NewInt(int64(k.public.E)), k.public.N)
		err := k.begin(s, s.api.DecryptInit, pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS, nil))
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
