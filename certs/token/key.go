package token

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"math/big"

	"github.com/smimerelay/smimerelay/certs/token/contract"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// key is what RSA and EC keys have in common.
type key struct {
	link *link
	name string
}

var errWrongSignature = errors.New("the signature that it made is wrong")

// Ready implements cms.Device: the key can be used now.
func (k *key) Ready() error {
	if _, err := k.link.do(contract.Request{Operation: contract.Ready, Key: k.name}); err != nil {
		return k.link.failure("not ready", err)
	}
	return nil
}

// sign has the token sign a digest; good checks what comes back. A signature that
// went wrong can give an RSA key away, and must not leave in any case.
func (k *key) sign(a contract.Algorithm, digest []byte, good func(signature []byte) bool) ([]byte, error) {
	answer, err := k.link.do(contract.Request{Operation: contract.Sign, Key: k.name, Algorithm: a, Data: digest})
	if err == nil && !good(answer.Data) {
		err = errWrongSignature
	}
	if err != nil {
		return nil, k.link.failure("signing", err)
	}
	return answer.Data, nil
}

// rsaKey is an RSA key in a token: crypto.Signer, crypto.Decrypter and
// cms.Device.
type rsaKey struct {
	key
	public *rsa.PublicKey
}

// Public implements crypto.Signer.
func (k *rsaKey) Public() crypto.PublicKey { return k.public }

// Sign implements crypto.Signer: a PSS signature where opts asks for one, else
// PKCS #1 v1.5.
func (k *rsaKey) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	h := opts.HashFunc()
	a := contract.Algorithm{Scheme: contract.RSAPKCS1, Hash: contract.HashName(h)}
	if a.Hash == "" || len(digest) != h.Size() {
		return nil, fmt.Errorf("%w: digest %v of %d octets", cms.ErrUnsupported, h, len(digest))
	}
	o, pss := opts.(*rsa.PSSOptions)
	if !pss {
		return k.sign(a, digest, func(signature []byte) bool {
			return rsa.VerifyPKCS1v15(k.public, h, digest, signature) == nil
		})
	}
	a.Scheme, a.Salt = contract.RSAPSS, o.SaltLength
	if a.Salt == rsa.PSSSaltLengthEqualsHash {
		a.Salt = h.Size()
	}
	if a.Salt <= 0 {
		return nil, fmt.Errorf("%w: salt of %d octets", cms.ErrUnsupported, a.Salt)
	}
	return k.sign(a, digest, func(signature []byte) bool {
		return rsa.VerifyPSS(k.public, h, digest, signature, o) == nil
	})
}

// errPadding is every answer about a ciphertext that is not a plaintext.
var errPadding = errors.New("decryption failed")

// Decrypt implements crypto.Decrypter, without session keys of a given length:
// implicit rejection is package cms'. An error wraps cms.ErrDevice if the token
// failed and cms.ErrUnsupported if it does not know the algorithm; both without
// regard to the ciphertext. All others are one.
func (k *rsaKey) Decrypt(_ io.Reader, msg []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	a, err := decryptAlgorithm(opts)
	if err != nil {
		return nil, err
	}
	c := new(big.Int).SetBytes(msg)
	if c.Cmp(k.public.N) >= 0 { // RFC 8017 section 5.1.2; everybody can see that
		return nil, errPadding
	}
	msg = c.FillBytes(make([]byte, k.public.Size()))
	answer, err := k.link.do(contract.Request{Operation: contract.Decrypt, Key: k.name, Algorithm: a, Data: msg})
	switch {
	case err != nil && contract.KindOf(err) == contract.Undecryptable:
		return nil, errPadding
	case err == nil && len(answer.Data) > k.public.Size():
		err = errTooLong
	}
	if err != nil {
		return nil, k.link.failure("decrypting", err)
	}
	return append([]byte{}, answer.Data...), nil
}

func decryptAlgorithm(opts crypto.DecrypterOpts) (contract.Algorithm, error) {
	switch o := opts.(type) {
	// RFC 8551 section 2.3 demands it.
	case *rsa.PKCS1v15DecryptOptions:
		if o.SessionKeyLen == 0 {
			return contract.Algorithm{Scheme: contract.RSAPKCS1}, nil
		}
	case *rsa.OAEPOptions:
		mask := o.MGFHash
		if mask == 0 {
			mask = o.Hash
		}
		a := contract.Algorithm{
			Scheme: contract.RSAOAEP, Hash: contract.HashName(o.Hash), MaskHash: contract.HashName(mask), Label: o.Label,
		}
		if a.Hash != "" && a.MaskHash != "" {
			return a, nil
		}
	}
	return contract.Algorithm{}, fmt.Errorf("%w: decryption with %+v", cms.ErrUnsupported, opts)
}

// ecKey is a key on a NIST curve in a token: crypto.Signer, ecdh.KeyExchanger and
// cms.Device.
type ecKey struct {
	key
	public *ecdsa.PublicKey
}

// Public implements crypto.Signer.
func (k *ecKey) Public() crypto.PublicKey { return k.public }

// Sign implements crypto.Signer: an ECDSA signature in its ASN.1 form.
func (k *ecKey) Sign(_ io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	return k.sign(contract.Algorithm{Scheme: contract.ECDSA}, digest, func(signature []byte) bool {
		return ecdsa.VerifyASN1(k.public, digest, signature)
	})
}

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

// errTooLong says that an answer is longer than any that the key can give.
var errTooLong = errors.New("the answer is too long for the key")

// ECDH implements ecdh.KeyExchanger: it agrees on a secret with the holder of the
// private half of remote, which package ecdh has checked to be on its curve.
func (k *ecKey) ECDH(remote *ecdh.PublicKey) ([]byte, error) {
	if k.Curve() != remote.Curve() {
		return nil, fmt.Errorf("%w: a point on another curve", cms.ErrUnsupported)
	}
	size := (k.public.Params().BitSize + 7) / 8
	answer, err := k.link.do(contract.Request{
		Operation: contract.Derive, Key: k.name, Algorithm: contract.Algorithm{Scheme: contract.ECDH}, Data: remote.Bytes(),
	})
	if err == nil && (len(answer.Data) > size || len(answer.Data) == 0) {
		err = errTooLong
	}
	if err != nil {
		return nil, k.link.failure("agreeing on a key", err)
	}
	// RFC 5753 section 7.2: the octets of a field element, leading zeros too.
	return append(make([]byte, size-len(answer.Data)), answer.Data...), nil
}
