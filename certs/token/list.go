//go:build pkcs11

package token

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"fmt"

	"github.com/miekg/pkcs11"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/pkix"
)

// held is a certificate in a token.
type held struct {
	*x509.Certificate
	id, label []byte
}

// list reads which identities a token holds. others are certificates known from
// elsewhere. left tells of keys that belong to no identity.
func (p *pool) list(s *session, others []*x509.Certificate) (ids []*certs.Identity, left []string, err error) {
	certificates, err := s.certificates()
	if err != nil {
		return nil, nil, err
	}
	keys, err := s.find(pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY))
	if err != nil {
		return nil, nil, err
	}
	all := others
	for _, c := range certificates {
		all = append(all[:len(all):len(all)], c.Certificate)
	}
	for _, h := range keys {
		k, public, err := s.describe(h)
		if err != nil {
			return nil, nil, err
		}
		if !p.uri.selects(k, certificates) {
			continue
		}
		found, err := p.identities(s, k, public, certificates, others)
		if err != nil {
			return nil, nil, err
		}
		if len(found) == 0 {
			left = append(left, fmt.Sprintf("key %q (%x)", k.label, k.id))
		}
		for _, id := range found {
			id.Chain = chain(id.Certificate, all)
			ids = append(ids, id)
		}
	}
	return ids, left, nil
}

// selects reports whether the URI names a key, or the certificate beside it (RFC
// 7512 section 2.5).
func (u uri) selects(k private, certificates []held) bool {
	named := func(id, label []byte, kind string) bool {
		return u.is("id", string(id)) && u.is("object", string(label)) && u.is("type", kind)
	}
	if named(k.id, k.label, "private") {
		return true
	}
	for _, c := range certificates {
		if len(k.id) > 0 && bytes.Equal(c.id, k.id) && named(c.id, c.label, "cert") {
			return true
		}
	}
	return false
}

// certificates reads the certificates of a token; what cannot be parsed is
// passed over.
func (s *session) certificates() ([]held, error) {
	found, err := s.find(pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_CERTIFICATE),
		pkcs11.NewAttribute(pkcs11.CKA_CERTIFICATE_TYPE, pkcs11.CKC_X_509))
	if err != nil {
		return nil, err
	}
	var all []held
	for _, h := range found {
		v, err := s.attributes(h, pkcs11.CKA_VALUE, pkcs11.CKA_ID, pkcs11.CKA_LABEL)
		if err != nil {
			return nil, err
		}
		if c, err := pkix.ParseCertificate(v[0]); err == nil {
			all = append(all, held{c, v[1], v[2]})
		}
	}
	return all, nil
}

// identities makes an identity of each certificate that belongs to a key: those
// in the token with its CKA_ID, and all others with its public half.
func (p *pool) identities(s *session, k private, public crypto.PublicKey, certificates []held, others []*x509.Certificate) ([]*certs.Identity, error) {
	candidates := others
	for _, c := range certificates {
		if public == nil && len(k.id) > 0 && bytes.Equal(c.id, k.id) {
			public = pkix.PublicKey(c.Certificate)
		}
		candidates = append(candidates[:len(candidates):len(candidates)], c.Certificate)
	}
	var own []*x509.Certificate
	seen := map[string]bool{}
	for _, c := range candidates {
		if e, ok := public.(interface{ Equal(crypto.PublicKey) bool }); ok && e.Equal(pkix.PublicKey(c)) && !seen[string(c.Raw)] {
			seen[string(c.Raw)] = true
			own = append(own, c)
		}
	}
	if len(own) == 0 {
		return nil, nil
	}
	key, err := p.key(s, k, public)
	if err != nil || key == nil {
		return nil, err
	}
	var ids []*certs.Identity
	for _, c := range own {
		ids = append(ids, &certs.Identity{Certificate: c, Key: key})
	}
	return ids, nil
}

// key makes the key for use, nil if it is of a kind that we do not use.
func (p *pool) key(s *session, k private, public crypto.PublicKey) (crypto.Signer, error) {
	switch pub := public.(type) {
	case *rsa.PublicKey:
		key := &rsaKey{key: key{k, p}, public: pub}
		return key, key.learn(s)
	case *ecdsa.PublicKey:
		return &ecKey{key: key{k, p}, public: pub}, nil
	}
	return nil, nil
}
