//go:build pkcs11

package hsm

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"math/big"
	"testing"

	"github.com/miekg/pkcs11"
)

// generate makes a key pair whose private half stays in the token.
func (k *token) generate(t *testing.T, mechanism uint, public, private []*pkcs11.Attribute) (pub, priv pkcs11.ObjectHandle) {
	t.Helper()
	private = append(private,
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
		pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true),
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true),
		pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false),
		pkcs11.NewAttribute(pkcs11.CKA_SIGN, true))
	public = append(public, pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true), pkcs11.NewAttribute(pkcs11.CKA_VERIFY, true))
	pub, priv, err := k.module.GenerateKeyPair(k.session, []*pkcs11.Mechanism{pkcs11.NewMechanism(mechanism, nil)}, public, private)
	must(t, err)
	return pub, priv
}

// newRSA makes an RSA key of 2048 bits that signs and decrypts.
func (k *token) newRSA(t *testing.T) *rsaKey {
	t.Helper()
	pub, priv := k.generate(t, pkcs11.CKM_RSA_PKCS_KEY_PAIR_GEN, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_MODULUS_BITS, 2048),
		pkcs11.NewAttribute(pkcs11.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1}),
		pkcs11.NewAttribute(pkcs11.CKA_ENCRYPT, true),
	}, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_DECRYPT, true)})
	values, err := k.attributes(pub, pkcs11.CKA_MODULUS, pkcs11.CKA_PUBLIC_EXPONENT)
	must(t, err)
	n, e := new(big.Int).SetBytes(values[0]), new(big.Int).SetBytes(values[1])
	return &rsaKey{token: k, handle: priv, public: &rsa.PublicKey{N: n, E: int(e.Int64())}}
}

// newP256 makes a P-256 key that signs and agrees on keys.
func (k *token) newP256(t *testing.T) *ecKey {
	t.Helper()
	curve, err := asn1.Marshal(asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7})
	must(t, err)
	pub, priv := k.generate(t, pkcs11.CKM_EC_KEY_PAIR_GEN,
		[]*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, curve)},
		[]*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_DERIVE, true)})
	values, err := k.attributes(pub, pkcs11.CKA_EC_POINT)
	must(t, err)
	var point []byte
	_, err = asn1.Unmarshal(values[0], &point)
	must(t, err)
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	must(t, err)
	return &ecKey{token: k, handle: priv, public: public}
}

// What the tests show is worth nothing if the keys could be had.
func TestKeysStayInTheToken(t *testing.T) {
	k := newToken(t)
	r, e := k.newRSA(t), k.newP256(t)
	for name, c := range map[string]struct {
		key    pkcs11.ObjectHandle
		secret uint
	}{"rsa exponent": {r.handle, pkcs11.CKA_PRIVATE_EXPONENT}, "rsa prime": {r.handle, pkcs11.CKA_PRIME_1}, "ec": {e.handle, pkcs11.CKA_VALUE}} {
		if value, err := k.attributes(c.key, c.secret); err != pkcs11.Error(pkcs11.CKR_ATTRIBUTE_SENSITIVE) {
			t.Errorf("%s: %d octets, %v", name, len(value), err)
		}
		flags, err := k.attributes(c.key, pkcs11.CKA_ALWAYS_SENSITIVE, pkcs11.CKA_NEVER_EXTRACTABLE)
		must(t, err)
		if flags[0][0] != 1 || flags[1][0] != 1 {
			t.Errorf("%s: always sensitive %v, never extractable %v", name, flags[0], flags[1])
		}
	}
}

// The secret is the one that the other side computes.
func TestAgreement(t *testing.T) {
	key := newToken(t).newP256(t)
	own, err := key.public.ECDH()
	must(t, err)
	other, err := ecdh.P256().GenerateKey(rand.Reader)
	must(t, err)
	want, err := other.ECDH(own)
	must(t, err)
	got, err := key.ECDH(other.PublicKey())
	must(t, err)
	if string(got) != string(want) {
		t.Errorf("secret %x, the other side has %x", got, want)
	}
}
