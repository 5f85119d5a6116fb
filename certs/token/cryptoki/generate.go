//go:build cgo

package cryptoki

import (
	"crypto/elliptic"
	"encoding/asn1"
	"errors"

	"github.com/miekg/pkcs11"

	"github.com/smimerelay/smimerelay/certs/token/contract"
)

// generate returns the key of a kind with an identifier, and makes it if there is none: what
// the gateway asks for again, after it or this process was killed, makes no second key.
func (p *pool) generate(_ *session, kind contract.Scheme, id, label []byte) (contents, error) {
	s, err := p.open(pkcs11.CKF_RW_SESSION) // the sessions that are kept cannot write
	if err != nil {
		return contents{}, err
	}
	defer s.close()
	keys, err := s.find(pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY))
	if err != nil {
		return contents{}, err
	}
	found, err := s.find(pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY), pkcs11.NewAttribute(pkcs11.CKA_ID, id))
	switch {
	case err != nil:
		return contents{}, err
	case len(found) > 0:
		return p.made(s, kind, found[0])
	case len(keys) >= maxObjects:
		return contents{}, refuse("it has %d private keys, and more are not used; remove those that are not needed, or use another token", len(keys))
	}
	if err := s.removePublic(id); err != nil {
		return contents{}, err
	}
	mechanism, public, private, err := template(kind, id, label)
	if err != nil {
		return contents{}, err
	}
	_, h, err := s.api.GenerateKeyPair(s.handle, []*pkcs11.Mechanism{pkcs11.NewMechanism(mechanism, nil)}, public, private)
	if err != nil {
		return contents{}, err
	}
	return p.made(s, kind, h)
}

// made describes a key that was made, now or before.
func (p *pool) made(s *session, kind contract.Scheme, h pkcs11.ObjectHandle) (contents, error) {
	all := contents{keys: map[string]signer{}}
	k, public, err := s.describe(h)
	if err != nil {
		return all, err
	}
	if !kind.Is(public) {
		return all, refuse("it has another key of the identifier %x, or does not tell the public half", k.id)
	}
	return all, all.add(p, s, k, public)
}

// removePublic removes public keys of an identifier that has no private key: what is left of
// a pair where the token, or this process, died while it was made.
func (s *session) removePublic(id []byte) error {
	left, err := s.find(pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PUBLIC_KEY), pkcs11.NewAttribute(pkcs11.CKA_ID, id))
	for _, h := range left {
		err = errors.Join(err, s.api.DestroyObject(s.handle, h))
	}
	return err
}

// curveIDs are the object identifiers of curves (RFC 5480 section 2.1.1.1).
var curveIDs = map[elliptic.Curve]asn1.ObjectIdentifier{
	elliptic.P256(): {1, 2, 840, 10045, 3, 1, 7},
	elliptic.P384(): {1, 3, 132, 0, 34},
}

// template is what C_GenerateKeyPair gets (PKCS #11 v2.40 section 5.13). The private key is
// sensitive and not extractable from its first moment on.
func template(kind contract.Scheme, id, label []byte) (mechanism uint, public, private []*pkcs11.Attribute, err error) {
	names := []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true), pkcs11.NewAttribute(pkcs11.CKA_ID, id), pkcs11.NewAttribute(pkcs11.CKA_LABEL, label),
	}
	public = append(public, names...)
	public = append(public, pkcs11.NewAttribute(pkcs11.CKA_VERIFY, true))
	private = append(private, names...)
	private = append(private,
		pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true), pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true),
		pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false), pkcs11.NewAttribute(pkcs11.CKA_SIGN, true))
	if bits := kind.Bits(); bits > 0 {
		return pkcs11.CKM_RSA_PKCS_KEY_PAIR_GEN,
			append(public, pkcs11.NewAttribute(pkcs11.CKA_ENCRYPT, true),
				pkcs11.NewAttribute(pkcs11.CKA_MODULUS_BITS, bits), pkcs11.NewAttribute(pkcs11.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1})),
			append(private, pkcs11.NewAttribute(pkcs11.CKA_DECRYPT, true)), nil
	}
	params, err := asn1.Marshal(curveIDs[kind.Curve()])
	return pkcs11.CKM_EC_KEY_PAIR_GEN,
		append(public, pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, params)),
		append(private, pkcs11.NewAttribute(pkcs11.CKA_DERIVE, true)), err
}
