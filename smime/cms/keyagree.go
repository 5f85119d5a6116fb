package cms

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"runtime"
	"sync"
	weakly "weak"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// A Device is a key that can be away: in a token, or across a network.
type Device interface {
	// Ready returns nil when the key can be used now, else an error that wraps
	// ErrDevice.
	Ready() error
}

// A kdf is a key agreement scheme: a hash and one of the two ways to derive a
// key with it.
type kdf struct {
	hash crypto.Hash
	hkdf bool
}

// kdfOf returns the scheme of an object identifier. For the NIST curves, whose
// cofactor is 1, cofactor Diffie-Hellman is the plain one.
func kdfOf(oid []byte) (kdf, bool) {
	switch string(oid) {
	case oidDHSHA1, oidCofactorSHA1:
		return kdf{crypto.SHA1, false}, true
	case oidDHSHA224, oidCofactorSHA224:
		return kdf{crypto.SHA224, false}, true
	case oidDHSHA256, oidCofactorSHA256:
		return kdf{crypto.SHA256, false}, true
	case oidDHSHA384, oidCofactorSHA384:
		return kdf{crypto.SHA384, false}, true
	case oidDHSHA512, oidCofactorSHA512:
		return kdf{crypto.SHA512, false}, true
	case oidDHHKDF256:
		return kdf{crypto.SHA256, true}, true
	case oidDHHKDF384:
		return kdf{crypto.SHA384, true}, true
	case oidDHHKDF512:
		return kdf{crypto.SHA512, true}, true
	}
	return kdf{}, false
}

// derive makes a key of size octets from the shared secret: X9.63 (RFC 5753
// section 7.2) or HKDF with the user key material as its salt (RFC 8418
// section 2.2).
func (k kdf) derive(secret, ukm, info []byte, size int) ([]byte, error) {
	if k.hkdf {
		return hkdf.Key(k.hash.New, secret, ukm, string(info), size)
	}
	var out []byte
	for counter := uint32(1); len(out) < size; counter++ {
		h := k.hash.New()
		h.Write(secret)
		h.Write(binary.BigEndian.AppendUint32(nil, counter))
		h.Write(info)
		out = h.Sum(out)
	}
	return out[:size], nil
}

// sharedInfo returns ECC-CMS-SharedInfo (RFC 5753 section 7.2, RFC 8418 section
// 2.1) for a key of size octets. wrap is the AlgorithmIdentifier of the key
// wrap as it stands in the message.
func sharedInfo(wrap, ukm []byte, size int) []byte {
	b := make(builder, 0, len(wrap)+len(ukm)+32)
	m := b.open(tagSequence)
	b.raw(wrap)
	if ukm != nil {
		u := b.open(tagContext0)
		b.tlv(tagOctetString, ukm)
		b.close(u)
	}
	s := b.open(tagContext0 + 2)
	b.tlv(tagOctetString, binary.BigEndian.AppendUint32(nil, uint32(size)*8))
	b.close(s)
	b.close(m)
	return b
}

// schemeFor returns what we write for a curve.
func schemeFor(c ecdh.Curve) (oid string, k kdf, x25519 bool) {
	switch c {
	case ecdh.P384():
		return oidDHSHA384, kdf{crypto.SHA384, false}, false
	case ecdh.P521():
		return oidDHSHA512, kdf{crypto.SHA512, false}, false
	case ecdh.X25519():
		return oidDHHKDF256, kdf{crypto.SHA256, true}, true
	}
	return oidDHSHA256, kdf{crypto.SHA256, false}, false
}

// keyAgreement appends KeyAgreeRecipientInfo for one recipient (RFC 5652 section
// 6.2.2, RFC 5753 section 3.1.1, RFC 8418 section 3).
func (e *encrypter) keyAgreement(b *builder, cert *x509.Certificate, pub *ecdh.PublicKey) error {
	curve := pub.Curve()
	own, ok := e.ephemeral[curve]
	if !ok {
		var err error
		if own, err = curve.GenerateKey(rand.Reader); err != nil {
			return err
		}
		e.ephemeral[curve] = own
	}
	secret, err := own.ECDH(pub)
	if err != nil {
		return badKey("%v", err)
	}
	a := agreed{secret: secret, public: own.PublicKey().Bytes(), family: oidECPublicKey}
	var x25519 bool
	if a.scheme, a.kdf, x25519 = schemeFor(curve); x25519 {
		a.family = oidX25519
	}
	return e.wrapFor(b, cert, a)
}

// brainpool is keyAgreement on a brainpool curve (RFC 5753 section 3.1.1, with the
// digests of BSI TR-03116-4 for the sizes).
func (e *encrypter) brainpool(b *builder, cert *x509.Certificate, pub *pkix.BrainpoolKey) error {
	own, ok := e.brainpools[pub.Curve()]
	if !ok {
		var err error
		if own, err = pub.Ephemeral(); err != nil {
			return err
		}
		e.brainpools[pub.Curve()] = own
	}
	secret, err := own.Agree(pub)
	if err != nil {
		return badKey("%v", err)
	}
	a := agreed{secret: secret, public: own.Public(), family: oidECPublicKey}
	switch {
	case pub.Bits() <= 256:
		a.scheme, a.kdf = oidDHSHA256, kdf{crypto.SHA256, false}
	case pub.Bits() <= 384:
		a.scheme, a.kdf = oidDHSHA384, kdf{crypto.SHA384, false}
	default:
		a.scheme, a.kdf = oidDHSHA512, kdf{crypto.SHA512, false}
	}
	return e.wrapFor(b, cert, a)
}

// agreed is what the two sides of a key agreement share.
type agreed struct {
	secret, public []byte
	family         string // the algorithm of the public key
	scheme         string
	kdf            kdf
}

// wrapFor wraps the content key under what was agreed on with a recipient.
func (e *encrypter) wrapFor(b *builder, cert *x509.Certificate, a agreed) error {
	wrapAlg, originator := make(builder, 0, 16), make(builder, 0, 160)
	wrapAlg.algorithm(e.spec.wrap, nil)
	kek, err := a.kdf.derive(a.secret, nil, sharedInfo(wrapAlg, nil, e.spec.wrapKB), e.spec.wrapKB)
	if err != nil {
		return err
	}
	wrapped, err := wrapKey(kek, e.key)
	if err != nil {
		return err
	}
	originator.algorithm(a.family, nil)
	originator.tlv(tagBitString, append([]byte{0}, a.public...))
	e.version = max(e.version, 2)
	e.agreementInfo(b, cert, a.scheme, wrapAlg, originator, wrapped)
	return nil
}

// agreementInfo lays KeyAgreeRecipientInfo out.
func (e *encrypter) agreementInfo(b *builder, cert *x509.Certificate, scheme string, wrapAlg, originator, wrapped []byte) {
	m := b.open(tagContext0 + 1)
	b.int(3)
	o := b.open(tagContext0) // originator
	b.tlv(tagContext0+1, originator)
	b.close(o)
	b.algorithm(scheme, wrapAlg)
	list := b.open(tagSequence)
	one := b.open(tagSequence)
	if e.request.UseSKI {
		r := b.open(tagContext0)
		b.tlv(tagOctetString, cert.SubjectKeyId)
		b.close(r)
	} else {
		b.issuerAndSerial(tagSequence, cert)
	}
	b.tlv(tagOctetString, wrapped)
	b.close(one)
	b.close(list)
	b.close(m)
}

// agree performs Diffie-Hellman between the recipient's key and the
// originator's point. The curve follows from the recipient's key.
func agree(key crypto.PrivateKey, originator algorithm, point []byte) ([]byte, error) {
	if k, ok := key.(*ecdsa.PrivateKey); ok {
		if err := checkKey(&k.PublicKey, pkix.MinRSA); err != nil {
			return nil, err
		}
		converted, err := exchanger(k)
		if err != nil {
			return nil, badKey("%v", err)
		}
		key = converted
	}
	a, ok := key.(ecdh.KeyExchanger)
	if !ok {
		return nil, badKey("%T can not agree on a key", key)
	}
	curve := a.Curve()
	if curve == nil {
		return nil, badKey("curve of %T", key)
	}
	if originator.is(oidX25519) != (curve == ecdh.X25519()) {
		return nil, ErrDecrypt
	}
	remote, err := curve.NewPublicKey(point)
	if err != nil {
		return nil, ErrDecrypt
	}
	secret, err := a.ECDH(remote)
	if errors.Is(err, ErrDevice) {
		return nil, err
	}
	if err != nil {
		return nil, ErrDecrypt
	}
	return secret, nil
}

// exchangers are keys for signing in the form that agrees on keys: the library computes
// the public key for it, which takes as long as a signature. An entry goes with its key.
var exchangers sync.Map // of weakly.Pointer[ecdsa.PrivateKey] to *ecdh.PrivateKey

func exchanger(k *ecdsa.PrivateKey) (*ecdh.PrivateKey, error) {
	at := weakly.Make(k)
	if known, ok := exchangers.Load(at); ok {
		return known.(*ecdh.PrivateKey), nil
	}
	made, err := k.ECDH()
	if err != nil {
		return nil, err
	}
	if _, loaded := exchangers.LoadOrStore(at, made); !loaded {
		runtime.AddCleanup(k, func(gone weakly.Pointer[ecdsa.PrivateKey]) { exchangers.Delete(gone) }, at)
	}
	return made, nil
}
