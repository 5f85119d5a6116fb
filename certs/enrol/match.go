package enrol

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime/address"
)

// enrolmentOf returns the first enrolment that is for an address. Where it is unknown
// whether one is, that is an error: the next one could be the wrong one.
func (e *Enroller) enrolmentOf(ctx context.Context, a address.Address) (*Enrolment, error) {
	for i := range e.Enrolments {
		en := &e.Enrolments[i]
		if in, err := e.isFor(ctx, en, a); err != nil || in {
			return en, err
		}
	}
	return nil, errNoEnrolment
}

// isFor reports whether an enrolment is for an address, by the address or by its groups.
func (e *Enroller) isFor(ctx context.Context, en *Enrolment, a address.Address) (bool, error) {
	if e.matches(en, a) {
		return true, nil
	}
	for _, group := range en.Groups {
		if e.InGroup == nil {
			return false, errNoGroups
		}
		in, err := e.InGroup(ctx, a, group)
		if err != nil {
			return false, fmt.Errorf("group %q: %w", group, err)
		}
		if in {
			return true, nil
		}
	}
	return false, nil
}

// groupTime bounds what is asked of a directory about an identity that is due.
const groupTime = 5 * time.Second

// covers reports whether an enrolment is known to be for one of the addresses.
func (e *Enroller) covers(ctx context.Context, en *Enrolment, list []address.Address) bool {
	ctx, cancel := context.WithTimeout(ctx, groupTime)
	defer cancel()
	return slices.ContainsFunc(list, func(a address.Address) bool {
		in, err := e.isFor(ctx, en, a)
		return err == nil && in
	})
}

// named returns the enrolment of a name; nil: the configuration has it no more.
func (e *Enroller) named(name string) *Enrolment {
	i := slices.IndexFunc(e.Enrolments, func(en Enrolment) bool { return en.Name == name })
	if i < 0 {
		return nil
	}
	return &e.Enrolments[i]
}

func (e *Enroller) matches(en *Enrolment, a address.Address) bool {
	return en.Match != nil && en.Match(a) ||
		slices.ContainsFunc(en.Always, func(b address.Address) bool { return e.Store.Same(a, b) })
}

// answer is what came for an order: the certificate of its key, and behind it those above.
// Anything else is an error; the key of the order alone says which one is meant. It must name
// the address, by the rule by which identities are found, and no other: the one who sent the
// order has a right to that one alone.
func (e *Enroller) answer(o *store.Order, all []*x509.Certificate) ([]*x509.Certificate, error) {
	i := ofKey(o, all)
	if i < 0 {
		return nil, errors.New("the provider's answer has no certificate of the key that was sent")
	}
	leaf := all[i]
	named := certs.Addresses(leaf)
	if len(named) == 0 || slices.ContainsFunc(named, func(a address.Address) bool { return !e.Store.Same(a, o.Address) }) {
		return nil, fmt.Errorf("the certificate that came names %v, not %s alone", named, o.Address)
	}
	if e.Clock().After(leaf.NotAfter) {
		return nil, errors.New("the certificate that came has expired")
	}
	if o.Purpose != store.ForEncryption {
		if err := certs.CheckPurpose(leaf, certs.ForSigning); err != nil {
			return nil, fmt.Errorf("the certificate that came cannot sign mail: %w", err)
		}
	}
	if o.Purpose != store.ForSigning && !certs.Decrypts(leaf) {
		return nil, errors.New("the certificate that came cannot be encrypted to")
	}
	return append([]*x509.Certificate{leaf}, above(leaf, all)...), nil
}

// ofKey is where the certificate of the key of an order is; -1: there is none.
func ofKey(o *store.Order, all []*x509.Certificate) int {
	return slices.IndexFunc(all, func(c *x509.Certificate) bool {
		return (&certs.Identity{Certificate: c, Key: o.Key}).Check() == nil
	})
}

// above are the certificates over one, next first, without a root.
func above(c *x509.Certificate, all []*x509.Certificate) []*x509.Certificate {
	var list []*x509.Certificate
	for range all {
		i := slices.IndexFunc(all, func(issuer *x509.Certificate) bool {
			return issuer.IsCA && !ca.SelfIssued(issuer) && !slices.Contains(list, issuer) && pkix.SignedBy(c, issuer, false)
		})
		if i < 0 {
			break
		}
		c = all[i]
		list = append(list, c)
	}
	return list
}
