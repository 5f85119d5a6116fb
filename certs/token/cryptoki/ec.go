//go:build cgo

package cryptoki

import (
	"crypto/ecdsa"
	"encoding/asn1"
	"errors"
	"math/big"

	"github.com/miekg/pkcs11"

	"github.com/smimerelay/smimerelay/certs/token/contract"
)

// ecKey is a key on a NIST curve in a token.
type ecKey struct {
	private
	public *ecdsa.PublicKey
}

// sign makes an ECDSA signature. PKCS #11 has two numbers of the same length one
// behind the other.
func (k *ecKey) sign(p *pool, s *session, a contract.Algorithm, digest []byte) ([]byte, error) {
	if a.Scheme != contract.ECDSA {
		return nil, contract.Errorf(contract.Unsupported, "no signature by %q", a.Scheme)
	}
	raw, err := k.signWith(p, s, pkcs11.NewMechanism(pkcs11.CKM_ECDSA, nil), digest)
	if err != nil {
		return nil, err
	}
	half := len(raw) / 2
	return asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(raw[:half]), new(big.Int).SetBytes(raw[half:])})
}

var errNoSecret = errors.New("it does not give out the secret")

// derive makes the secret in the session, reads it, and removes it.
func (k *ecKey) derive(s *session, point []byte) ([]byte, error) {
	h, err := k.handle(s)
	if err != nil {
		return nil, err
	}
	m := pkcs11.NewMechanism(pkcs11.CKM_ECDH1_DERIVE, pkcs11.NewECDH1DeriveParams(pkcs11.CKD_NULL, nil, point))
	o, err := s.api.DeriveKey(s.handle, []*pkcs11.Mechanism{m}, h, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY),
		pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_GENERIC_SECRET),
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, false),
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, false),
		pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, true),
		pkcs11.NewAttribute(pkcs11.CKA_VALUE_LEN, (k.public.Params().BitSize+7)/8),
	})
	if err != nil {
		return nil, err
	}
	secret, err := s.attribute(o, pkcs11.CKA_VALUE)
	if err == nil && len(secret) == 0 {
		err = errNoSecret
	}
	return secret, errors.Join(err, s.api.DestroyObject(s.handle, o))
}
