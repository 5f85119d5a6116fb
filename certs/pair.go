package certs

import (
	"context"
	"crypto/x509"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/smime/address"
)

// ForReplies implements Keys.
func (k *FileKeys) ForReplies(_ context.Context, addr address.Address) (*Identity, error) {
	if addr.IsNull() {
		return nil, nil
	}
	named := func(c *x509.Certificate) bool { return k.names(c, addr) }
	return newest(k.toEncrypt[addr.Key(address.IgnoreCase)], k.clock(), named), nil
}

// ForReplies implements Keys.
func (j joined) ForReplies(ctx context.Context, addr address.Address) (*Identity, error) {
	var best *Identity
	for _, k := range j {
		id, err := k.ForReplies(ctx, addr)
		if err != nil {
			return nil, err
		}
		if id != nil && (best == nil || Newer(id.Certificate, best.Certificate)) {
			best = id
		}
	}
	return best, nil
}

// Paired returns id with the certificate that replies to its signatures can be
// encrypted to, where its own only signs: the newest of others' that is valid at
// the time given and names an address of id. It is put first in the chain, since
// it travels with every signature (RFC 8551 section 2.5.3). Where there is none,
// or id's own certificate does, id is returned as it is.
func Paired(id *Identity, others []*Identity, at time.Time) *Identity {
	if Decrypts(id.Certificate) {
		return id
	}
	shares := func(c *x509.Certificate) bool { return shareAddress(id.Certificate, c) }
	return withTwin(id, newest(others, at, shares))
}

// newest returns the identity with the newest certificate that is wanted, can be
// encrypted to and is valid at the time given; nil if there is none.
func newest(ids []*Identity, at time.Time, wanted func(*x509.Certificate) bool) *Identity {
	var best *Identity
	for _, id := range ids {
		c := id.Certificate
		if !Decrypts(c) || at.Before(c.NotBefore) || at.After(c.NotAfter) || !wanted(c) {
			continue
		}
		if best == nil || Newer(c, best.Certificate) {
			best = id
		}
	}
	return best
}

// withTwin puts the certificate of twin, which may be nil, and its chain into that
// of id.
func withTwin(id, twin *Identity) *Identity {
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
