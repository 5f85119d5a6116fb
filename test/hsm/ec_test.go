//go:build pkcs11

package hsm

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"encoding/asn1"
	"fmt"
	"io"
	"math/big"

	"github.com/miekg/pkcs11"
)

// ecKey is a P-256 key in a token: crypto.Signer and cms.Agreement.
type ecKey struct {
	token  *token
	handle pkcs11.ObjectHandle
	public *ecdsa.PublicKey
}

func (k *ecKey) Public() crypto.PublicKey { return k.public }

// Sign makes an ECDSA signature in its ASN.1 form; PKCS #11 has two numbers one
// behind the other.
func (k *ecKey) Sign(_ io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	raw, err := k.token.sign(k.handle, pkcs11.NewMechanism(pkcs11.CKM_ECDSA, nil), digest)
	if err != nil {
		return nil, err
	}
	half := len(raw) / 2
	return asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(raw[:half]), new(big.Int).SetBytes(raw[half:])})
}

// ECDH agrees on a secret with the holder of the private half of remote.
func (k *ecKey) ECDH(remote *ecdh.PublicKey) ([]byte, error) {
	if remote.Curve() != ecdh.P256() {
		return nil, fmt.Errorf("curve %v", remote.Curve())
	}
	params := pkcs11.NewECDH1DeriveParams(pkcs11.CKD_NULL, nil, remote.Bytes())
	return k.token.derive(k.handle, pkcs11.NewMechanism(pkcs11.CKM_ECDH1_DERIVE, params), 32)
}
