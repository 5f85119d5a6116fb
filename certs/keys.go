package certs

import (
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/x509"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// FileKeys implements Keys with identities that are in memory. It never changes
// after it was made and is safe for concurrent use.
type FileKeys struct {
	clock     func() time.Time
	rule      address.LocalPart
	ids       []*Identity
	byAddress map[string][]*Identity // best first, those that may sign
	toEncrypt map[string][]*Identity // by address, those that can be encrypted to
	bySerial  map[string][]*Identity
	byKeyID   map[string][]*Identity
}

var _ Keys = (*FileKeys)(nil)

// NewKeys returns Keys that hold ids. A nil clock is time.Now.
func NewKeys(clock func() time.Time, ids ...*Identity) *FileKeys {
	if clock == nil {
		clock = time.Now
	}
	k := &FileKeys{
		clock: clock, ids: slices.Clone(ids),
		byAddress: map[string][]*Identity{},
		toEncrypt: map[string][]*Identity{},
		bySerial:  map[string][]*Identity{},
		byKeyID:   map[string][]*Identity{},
	}
	for _, id := range k.ids {
		k.index(id)
	}
	for _, list := range k.byAddress {
		slices.SortStableFunc(list, byPreference)
	}
	return k
}

func (k *FileKeys) index(id *Identity) {
	add := func(m map[string][]*Identity, key string) {
		if key != "" && !slices.Contains(m[key], id) {
			m[key] = append(m[key], id)
		}
	}
	c := id.Certificate
	signs, decrypts := canSign(id), Decrypts(c)
	for _, a := range Addresses(c) {
		if signs {
			add(k.byAddress, a.Key(address.IgnoreCase))
		}
		if decrypts {
			add(k.toEncrypt, a.Key(address.IgnoreCase))
		}
	}
	add(k.bySerial, string(cms.CertificateID(c).Serial))
	add(k.byKeyID, string(c.SubjectKeyId))
	// Senders that find no identifier in a certificate compute the usual one
	// (RFC 5280 section 4.2.1.2, method 1).
	add(k.byKeyID, string(pkix.ComputedKeyID(c)))
}

// byPreference sorts pinned identities before others, and newer before older ones.
func byPreference(a, b *Identity) int {
	if a.Pinned != b.Pinned {
		if a.Pinned {
			return -1
		}
		return 1
	}
	return ByAge(a.Certificate, b.Certificate)
}

// canSign reports whether id may sign mail: its key signs, and neither key usage
// nor extended key usage forbids it.
func canSign(id *Identity) bool {
	if _, ok := id.Key.(*ecdh.PrivateKey); ok {
		return false
	}
	_, ok := id.Key.(crypto.Signer)
	return ok && CheckPurpose(id.Certificate, ForSigning) == nil
}

// Signing returns the pinned identity, or else the one with the latest start of
// validity, among those that may sign for addr and are valid now, or nil. One whose
// certificate only signs is Paired with the one to encrypt to.
func (k *FileKeys) Signing(_ context.Context, addr address.Address) (*Identity, error) {
	if addr.IsNull() {
		return nil, nil
	}
	now := k.clock()
	key := addr.Key(address.IgnoreCase)
	for _, id := range k.byAddress[key] {
		if c := id.Certificate; !now.Before(c.NotBefore) && !now.After(c.NotAfter) && k.names(c, addr) {
			return Paired(id, k.toEncrypt[key], now), nil
		}
	}
	return nil, nil
}

// names reports whether c names addr by the rule in force.
func (k *FileKeys) names(c *x509.Certificate, addr address.Address) bool {
	return k.rule == address.IgnoreCase ||
		slices.ContainsFunc(Addresses(c), func(a address.Address) bool { return a.Equal(addr, k.rule) })
}

// WithLocalPart returns the same keys under another rule for local parts than
// address.IgnoreCase.
func (k *FileKeys) WithLocalPart(rule address.LocalPart) *FileKeys {
	other := *k
	other.rule = rule
	return &other
}

// Decryption returns the identities that rid names, expired ones too.
func (k *FileKeys) Decryption(_ context.Context, rid cms.ID) ([]*Identity, error) {
	if len(rid.SubjectKeyID) > 0 {
		return k.byKeyID[string(rid.SubjectKeyID)], nil
	}
	var found []*Identity
	for _, id := range k.bySerial[string(rid.Serial)] {
		if pkix.SameName(id.Certificate.RawIssuer, rid.RawIssuer) {
			found = append(found, id)
		}
	}
	return found, nil
}

// Identities returns all identities, in the order in which they were given.
func (k *FileKeys) Identities() []*Identity { return slices.Clone(k.ids) }
