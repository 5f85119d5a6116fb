//go:build pkcs11

package token

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"

	"github.com/miekg/pkcs11"

	"github.com/smimerelay/smimerelay/smime/cms"
)

// ecKey is a key on a NIST curve in a token: crypto.Signer, ecdh.KeyExchanger and
// cms.Device.
type ecKey struct {
	key
	public *ecdsa.PublicKey
}

// Public implements crypto.Signer.
func (k *ecKey) Public() crypto.PublicKey { return k.public }

// Sign implements crypto.Signer: an ECDSA signature in its ASN.1 form. PKCS #11
// has two numbers of the same length one behind the other.
func (k *ecKey) Sign(_ io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	var encoded []byte
	_, err := k.sign(pkcs11.NewMechanism(pkcs11.CKM_ECDSA, nil), digest, func(raw []byte) bool {
		half := len(raw) / 2
		der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(raw[:half]), new(big.Int).SetBytes(raw[half:])})
		encoded = der
		return err == nil && ecdsa.VerifyASN1(k.public, digest, der)
	})
	if err != nil {
		return nil, err
	}
	return encoded, nil
}

var errNoSecret = errors.New("it does not give out the secret")

// PublicKey implements ecdh.KeyExchanger; nil for a curve that package ecdh does not
// know.
func (k *ecKey) PublicKey() *ecdh.PublicKey {
	public, err := k.public.ECDH()
	if err != nil {
		return nil
	}
	return public
}

// Curve implements ecdh.KeyExchanger; nil for one that package ecdh does not know.
func (k *ecKey) Curve() ecdh.Curve {
	if public := k.PublicKey(); public != nil {
		return public.Curve()
	}
	return nil
}

// ECDH implements ecdh.KeyExchanger: it agrees on a secret with the holder of the
// private half of remote, which package ecdh has checked to be on its curve.
func (k *ecKey) ECDH(remote *ecdh.PublicKey) ([]byte, error) {
	if k.Curve() != remote.Curve() {
		return nil, fmt.Errorf("%w: a point on another curve", cms.ErrUnsupported)
	}
	size := (k.public.Params().BitSize + 7) / 8
	m := pkcs11.NewMechanism(pkcs11.CKM_ECDH1_DERIVE, pkcs11.NewECDH1DeriveParams(pkcs11.CKD_NULL, nil, remote.Bytes()))
	secret, err := do(k.pool, func(s *session) ([]byte, error) { return k.derive(s, m, size) })
	if err != nil {
		return nil, k.pool.uri.failure("agreeing on a key", err)
	}
	// RFC 5753 section 7.2: the octets of a field element, leading zeros too.
	return append(make([]byte, max(0, size-len(secret))), secret...), nil
}

// derive makes the secret in the session, reads it, and removes it.
func (k *ecKey) derive(s *session, m *pkcs11.Mechanism, size int) ([]byte, error) {
	h, err := k.handle(s)
	if err != nil {
		return nil, err
	}
	o, err := s.api.DeriveKey(s.handle, []*pkcs11.Mechanism{m}, h, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY),
		pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_GENERIC_SECRET),
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, false),
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, false),
		pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, true),
		pkcs11.NewAttribute(pkcs11.CKA_VALUE_LEN, size),
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
