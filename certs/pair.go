package certs

import (
	"crypto/x509"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/smime/address"
)

// Paired returns id with the certificate that replies to its signatures can be
// encrypted to, where its own only signs: the newest of others' that is valid at
// the time given and names an address of id. It is put first in the chain, since
// it travels with every signature (RFC 8551 section 2.5.3). Where there is none,
// or id's own certificate does, id is returned as it is.
func Paired(id *Identity, others []*Identity, at time.Time) *Identity {
	if Decrypts(id.Certificate) {
		return id
	}
	var twin *Identity
	for _, o := range others {
		c := o.Certificate
		if !Decrypts(c) || at.Before(c.NotBefore) || at.After(c.NotAfter) || !shareAddress(id.Certificate, c) {
			continue
		}
		if twin == nil || c.NotBefore.After(twin.Certificate.NotBefore) {
			twin = o
		}
	}
	if twin == nil {
		return id
	}
	pair := *id
	pair.Chain = nil
	for _, c := range slices.Concat([]*x509.Certificate{twin.Certificate}, id.Chain, twin.Chain) {
		if !slices.ContainsFunc(pair.Chain, c.Equal) {
			pair.Chain = append(pair.Chain, c)
		}
	}
	return &pair
}

// shareAddress reports whether two certificates name one address.
func shareAddress(a, b *x509.Certificate) bool {
	theirs := Addresses(b)
	return slices.ContainsFunc(Addresses(a), func(x address.Address) bool {
		return slices.ContainsFunc(theirs, func(y address.Address) bool { return x.Equal(y, address.IgnoreCase) })
	})
}
