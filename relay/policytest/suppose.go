package policytest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"math/big"
	"slices"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// source is the directory in explanations.
const source = "the case"

var errUnknown = errors.New("the case says that it is unknown")

// supposed is the world as a case supposes it: the directory, the keys, and the
// authority where the configuration has one.
type supposed struct {
	certificates, unknown, identities []address.Address
	everybody                         bool                         // has an identity
	groups                            map[string][]address.Address // by enforce.GroupKey
	unknownGroups                     map[string]bool
	listed                            []address.Address
}

func suppose(c *Case) (*supposed, error) {
	s := &supposed{everybody: c.Identities == nil}
	for _, part := range []struct {
		from []string
		to   *[]address.Address
	}{{c.Certificates, &s.certificates}, {c.Unknown, &s.unknown}, {c.Identities, &s.identities}, {c.Listed, &s.listed}} {
		list, err := parseAll(part.from)
		if err != nil {
			return nil, err
		}
		*part.to = list
	}
	return s, s.supposeGroups(c)
}

func parseAll(texts []string) ([]address.Address, error) {
	var all []address.Address
	for _, text := range texts {
		a, err := address.Parse(text)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

func contains(list []address.Address, a address.Address) bool {
	return slices.ContainsFunc(list, func(b address.Address) bool { return a.Equal(b, address.IgnoreCase) })
}

// Lookup implements directory.Finder.
func (s *supposed) Lookup(_ context.Context, a address.Address) directory.Result {
	switch {
	case contains(s.unknown, a):
		return directory.Result{Outcome: directory.Unknown, Answers: []directory.Answer{{Source: source, Err: errUnknown}}}
	case !contains(s.certificates, a):
		return directory.Result{Outcome: directory.None, Answers: []directory.Answer{{Source: source}}}
	}
	id, err := throwaway(a)
	if err != nil {
		return directory.Result{Outcome: directory.Unknown}
	}
	return directory.Result{Outcome: directory.Usable, Certificates: []*x509.Certificate{id.Certificate}}
}

// Remembers implements directory.Finder: nothing is asked.
func (s *supposed) Remembers(address.Address) bool { return true }

// Signing implements certs.Keys.
func (s *supposed) Signing(_ context.Context, a address.Address) (*certs.Identity, error) {
	if !s.everybody && !contains(s.identities, a) {
		return nil, nil
	}
	return throwaway(a)
}

// Decryption implements certs.Keys.
func (s *supposed) Decryption(context.Context, cms.ID) ([]*certs.Identity, error) {
	return nil, nil
}

// ForReplies implements certs.Keys.
func (s *supposed) ForReplies(context.Context, address.Address) (*certs.Identity, error) {
	return nil, nil
}

// WhyNot implements certs.Keys.
func (s *supposed) WhyNot(context.Context, address.Address) string { return "" }

// Issue implements relay.Issuer: a test of rules makes nothing that is kept.
func (s *supposed) Issue(context.Context, address.Address) (*certs.Identity, error) {
	return nil, errors.New("nothing is issued in a test of rules")
}

// Due implements relay.Issuer.
func (s *supposed) Due(context.Context, *certs.Identity) bool { return false }

// Ready implements relay.Issuer: the authority is supposed to be able to.
func (s *supposed) Ready(context.Context, address.Address) error { return nil }

// throwaway makes an identity that is not trusted: the rules look at no more than
// that it is there.
func throwaway(a address.Address) (*certs.Identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), EmailAddresses: []string{a.Local() + "@" + a.Domain()}}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := pkix.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &certs.Identity{Certificate: cert, Key: key}, nil
}
