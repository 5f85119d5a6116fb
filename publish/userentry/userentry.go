// Package userentry publishes certificates in the entries that users have in a directory such
// as Active Directory: each in userCertificate, and all of a user in userSMIMECertificate, in a
// SignedData that is signed by the user's identity (RFC 2798 section 2.8). Values of others
// stay.
package userentry

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/publish"
	"github.com/smimerelay/smimerelay/smime/address"
)

// The attributes, by what they hold.
const (
	attrCertificate = "userCertificate"
	attrSigned      = "userSMIMECertificate"
)

// Directory has the entries.
type Directory interface {
	// EntriesOf returns the names of the entries of the owners of an address.
	EntriesOf(ctx context.Context, a address.Address) ([]string, error)
	// ChangeValues changes values of an entry, and reports whether there is the entry.
	ChangeValues(ctx context.Context, dn string, changes ...directory.ValueChange) (found bool, err error)
}

// Config is what Open needs.
type Config struct {
	Directory Directory
	// Attributes are those that are written, of userCertificate and userSMIMECertificate.
	Attributes []string
	// Signer returns the identity that signs for an address; nil if there is none.
	Signer func(ctx context.Context, a address.Address) (*certs.Identity, error)
	Clock  func() time.Time
}

// Target is a publish.Target, whose objects are names of entries.
type Target struct {
	cfg    Config
	places *Places
	unsure publish.Unsure
	owners map[string]*owner
	absent []address.Address
}

// owner is an entry with what it shall have.
type owner struct {
	addresses    []address.Address
	certificates []*x509.Certificate
	chain        []*x509.Certificate
}

// ErrUnfinished: the time was over before all entries were found, and the next attempt will get
// further.
var ErrUnfinished = errors.New("there was no time to look all entries up")

// Open looks the entries up of those who have certificates. Where it cannot be known of one,
// there is no Target: values of that one would be taken for ones that are not wanted.
func Open(ctx context.Context, cfg Config, places *Places, entries iter.Seq[*publish.Entry], unsure publish.Unsure) (*Target, error) {
	t := &Target{cfg: cfg, places: places, unsure: unsure, owners: map[string]*owner{}}
	before := places.asked
	for e := range entries {
		dn, err := places.find(ctx, e.Address)
		switch {
		case err != nil && ctx.Err() != nil && places.asked > before:
			return nil, ErrUnfinished
		case err != nil:
			return nil, err
		}
		if dn == "" {
			t.absent = append(t.absent, e.Address)
			continue
		}
		o := t.owners[dn]
		if o == nil {
			o = &owner{}
			t.owners[dn] = o
		}
		o.addresses = append(o.addresses, e.Address)
		o.certificates = union(o.certificates, e.Certificates)
		o.chain = union(o.chain, e.Chain)
	}
	return t, nil
}

// Absent are the addresses that have no entry, or more than one.
func (t *Target) Absent() []address.Address { return t.absent }

// Objects implements publish.Target.
func (t *Target) Objects() []string { return slices.Collect(maps.Keys(t.owners)) }

// Wanted implements publish.Target.
func (t *Target) Wanted(ctx context.Context, dn string, noted [][]byte) ([][]byte, error) {
	o := t.owners[dn]
	if o == nil {
		o = &owner{}
	}
	certificates := union(slices.Clone(o.certificates), t.kept(noted))
	if len(certificates) == 0 {
		return nil, nil
	}
	var wanted [][]byte
	if t.writes(attrCertificate) {
		for _, c := range certificates {
			wanted = append(wanted, c.Raw)
		}
	}
	if t.writes(attrSigned) {
		value, err := t.signed(ctx, o, certificates, noted)
		if err != nil {
			return nil, err
		}
		wanted = append(wanted, value)
	}
	return wanted, nil
}

// kept returns the certificates in the noted values, plain and signed, that cannot be judged now.
func (t *Target) kept(noted [][]byte) (list []*x509.Certificate) {
	for _, v := range noted {
		for _, c := range certificatesIn(v) {
			if t.unsure[sha256.Sum256(c.Raw)] {
				list = union(list, []*x509.Certificate{c})
			}
		}
	}
	return list
}

// writes reports whether an attribute is written.
func (t *Target) writes(attribute string) bool {
	return slices.ContainsFunc(t.cfg.Attributes, func(a string) bool { return strings.EqualFold(a, attribute) })
}

// Write implements publish.Target.
func (t *Target) Write(ctx context.Context, c publish.Change) ([][]byte, error) {
	plain, signed := directory.ValueChange{Attribute: attrCertificate}, directory.ValueChange{Attribute: attrSigned}
	plain.Remove, signed.Remove = apart(c.Remove)
	plain.Add, signed.Add = apart(c.Wanted)
	var changes []directory.ValueChange
	for _, change := range []directory.ValueChange{plain, signed} {
		if len(change.Remove)+len(change.Add) > 0 {
			changes = append(changes, change)
		}
	}
	found, err := t.cfg.Directory.ChangeValues(ctx, c.Object, changes...)
	switch {
	case directory.EntryRefused(err):
		return nil, &publish.ObjectError{Err: err}
	case err != nil:
		return nil, err
	case !found:
		t.places.forget(c.Object)
		return nil, nil // what was in an entry is gone with it
	}
	return c.Wanted, nil
}

// apart separates certificates from signed values.
func apart(values [][]byte) (certificates, signed [][]byte) {
	for _, v := range values {
		if isSigned(v) {
			signed = append(signed, v)
		} else {
			certificates = append(certificates, v)
		}
	}
	return certificates, signed
}

func union(list, more []*x509.Certificate) []*x509.Certificate {
	for _, c := range more {
		if !slices.ContainsFunc(list, c.Equal) {
			list = append(list, c)
		}
	}
	return list
}
