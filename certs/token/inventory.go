package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"fmt"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/token/contract"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/internal/printable"
)

// maxLabel limits how much of a key's label is shown.
const maxLabel = 64

// identities makes an identity of each certificate with the public half of a key: in
// the token, or known besides. left are the keys that have none.
func (k *Keys) identities(held contract.Inventory) (ids []*certs.Identity, left []string) {
	all := k.Certificates[:len(k.Certificates):len(k.Certificates)]
	for _, der := range held.Certificates {
		if c, err := pkix.ParseCertificate(der); err == nil {
			all = append(all, c)
		}
	}
	for _, h := range held.Keys {
		key := k.link.key(h)
		found := certificatesOf(key, all)
		if len(found) == 0 {
			left = append(left, fmt.Sprintf("key %q", printable.Clip(h.Label, maxLabel)))
		}
		for _, c := range found {
			ids = append(ids, &certs.Identity{Certificate: c, Key: key, Chain: chain(c, all)})
		}
	}
	return ids, left
}

// private are the keys that can be used, by their SubjectPublicKeyInfo.
func (l *link) private(held contract.Inventory) map[string]crypto.Signer {
	all := map[string]crypto.Signer{}
	for _, h := range held.Keys {
		if k := l.key(h); k != nil {
			all[publicText(k.Public())] = k
		}
	}
	return all
}

// publicText is the SubjectPublicKeyInfo of a key; "" where it has none.
func publicText(public crypto.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return ""
	}
	return string(der)
}

// key makes the key for use, nil if it is of a kind that is not used.
func (l *link) key(h contract.Key) crypto.Signer {
	public, err := x509.ParsePKIXPublicKey(h.Public)
	if err != nil {
		return nil
	}
	k := key{link: l, name: h.Name}
	switch public := public.(type) {
	case *rsa.PublicKey:
		return &rsaKey{k, public}
	case *ecdsa.PublicKey:
		switch public.Curve {
		case elliptic.P256(), elliptic.P384(), elliptic.P521():
			return &ecKey{k, public}
		}
	}
	return nil
}

// certificatesOf returns each certificate of a key once.
func certificatesOf(key crypto.Signer, among []*x509.Certificate) []*x509.Certificate {
	if key == nil {
		return nil
	}
	public := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	var own []*x509.Certificate
	seen := map[string]bool{}
	for _, c := range among {
		if public.Equal(pkix.PublicKey(c)) && !seen[string(c.Raw)] {
			seen[string(c.Raw)] = true
			own = append(own, c)
		}
	}
	return own
}
