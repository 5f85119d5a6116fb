//go:build pkcs11

package hsm

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"io"

	"github.com/miekg/pkcs11"
)

// rsaKey is an RSA key in a token: crypto.Signer and crypto.Decrypter.
type rsaKey struct {
	token  *token
	handle pkcs11.ObjectHandle
	public *rsa.PublicKey
	// answers are the errors of Decrypt, one a call.
	answers []error
}

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

// Sign makes a PSS signature where opts asks for one, else PKCS #1 v1.5.
func (k *rsaKey) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	names, ok := hashes[opts.HashFunc()]
	if !ok {
		return nil, fmt.Errorf("digest %v", opts.HashFunc())
	}
	if pss, ok := opts.(*rsa.PSSOptions); ok {
		salt := pss.SaltLength
		if salt == rsa.PSSSaltLengthEqualsHash {
			salt = pss.Hash.Size()
		}
		if salt <= 0 {
			return nil, fmt.Errorf("salt of %d octets", salt)
		}
		params := pkcs11.NewPSSParams(names.hash, names.mgf, uint(salt))
		return k.token.sign(k.handle, pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS_PSS, params), digest)
	}
	// The token pads what it is given: a DigestInfo (RFC 8017 section 9.2).
	info, err := asn1.Marshal(struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}{pkix.AlgorithmIdentifier{Algorithm: names.oid, Parameters: asn1.NullRawValue}, digest})
	if err != nil {
		return nil, err
	}
	return k.token.sign(k.handle, pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS, nil), info)
}

// Decrypt answers as PKCS #11 does: a bad padding is an error of its own. A
// session key of random octets in its place is beyond it, so it refuses to
// promise one, as other drivers do.
func (k *rsaKey) Decrypt(_ io.Reader, msg []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	plain, err := k.decrypt(msg, opts)
	k.answers = append(k.answers, err)
	return plain, err
}

func (k *rsaKey) decrypt(msg []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	switch o := opts.(type) {
	//lint:ignore SA1019 what is tested
	case *rsa.PKCS1v15DecryptOptions:
		if o.SessionKeyLen != 0 {
			return nil, fmt.Errorf("session key of %d octets: not supported", o.SessionKeyLen)
		}
		return k.token.decrypt(k.handle, pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS, nil), msg)
	case *rsa.OAEPOptions:
		names, ok := hashes[o.Hash]
		mask, known := hashes[o.MGFHash]
		if !ok || !known {
			return nil, fmt.Errorf("OAEP with %v and %v", o.Hash, o.MGFHash)
		}
		params := pkcs11.NewOAEPParams(names.hash, mask.mgf, pkcs11.CKZ_DATA_SPECIFIED, o.Label)
		return k.token.decrypt(k.handle, pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS_OAEP, params), msg)
	}
	return nil, fmt.Errorf("options %T", opts)
}
