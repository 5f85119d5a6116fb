//go:build cgo

package cryptoki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"fmt"

	"github.com/miekg/pkcs11"

	"github.com/smimerelay/smimerelay/certs/token/contract"
	"github.com/smimerelay/smimerelay/internal/pkix"
)

// held is a certificate in a token.
type held struct {
	*x509.Certificate
	id, label []byte
}

// contents are what a token holds of what its URI names, and the keys by their names.
type contents struct {
	contract.Inventory
	keys map[string]signer
}

// list reads what a token holds.
func (p *pool) list(s *session) (contents, error) {
	found := contents{keys: map[string]signer{}}
	certificates, err := s.certificates()
	if err != nil {
		return found, err
	}
	for _, c := range certificates {
		found.Certificates = append(found.Certificates, c.Raw)
	}
	keys, err := s.find(pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY))
	if err != nil {
		return found, err
	}
	for _, h := range keys {
		k, public, err := s.describe(h)
		if err != nil {
			return found, err
		}
		if !p.uri.selects(k, certificates) {
			continue
		}
		if public == nil {
			public = k.publicOf(certificates)
		}
		if err := found.add(p, s, k, public); err != nil {
			return found, err
		}
	}
	return found, nil
}

// add adds a key.
func (c *contents) add(p *pool, s *session, k private, public crypto.PublicKey) error {
	entry := contract.Key{Name: k.name(), Label: fmt.Sprintf("%s (%x)", k.label, k.id)}
	switch pub := public.(type) {
	case *rsa.PublicKey:
		key := &rsaKey{private: k, public: pub}
		if err := key.learn(p, s); err != nil {
			return err
		}
		c.keys[entry.Name] = key
	case *ecdsa.PublicKey:
		c.keys[entry.Name] = &ecKey{private: k, public: pub}
	}
	if der, err := x509.MarshalPKIXPublicKey(public); err == nil {
		entry.Public = der
	}
	c.Keys = append(c.Keys, entry)
	return nil
}

// selects reports whether the URI names a key, or the certificate beside it (RFC
// 7512 section 2.5).
func (u target) selects(k private, certificates []held) bool {
	named := func(id, label []byte, kind string) bool {
		return u.Is("id", string(id)) && u.Is("object", string(label)) && u.Is("type", kind)
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

// publicOf returns the public key of the certificate with the CKA_ID of a key.
func (k private) publicOf(certificates []held) crypto.PublicKey {
	for _, c := range certificates {
		if len(k.id) > 0 && bytes.Equal(c.id, k.id) {
			return pkix.PublicKey(c.Certificate)
		}
	}
	return nil
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
