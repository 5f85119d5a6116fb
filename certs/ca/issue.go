package ca

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime/address"
)

// Request is an order for the certificate of one address. That its sender has a
// right to the address is for the caller to know.
type Request struct {
	Address address.Address
	// Key is as in Plan, or "auto", which "" is: what fits the use.
	Key string
	// Validity is how long it shall be valid; 0 is a year. It is cut at the end of
	// the authority.
	Validity time.Duration
	// Separate asks for two keys, which there are with ML-DSA in any case, one that signs and one that is encrypted to: the
	// latter can then be deposited for safe keeping, and no one else can
	// sign.
	Separate bool
}

const (
	defaultValidity = 365 * 24 * time.Hour
	// least is the shortest rest of an authority's life in which it still issues.
	least = 24 * time.Hour
)

// Issue makes keys and certificates, notes them in the ledger, and returns them as
// identities: the one that signs, and behind it the one for encryption where they
// are separate.
func (a *Authority) Issue(ctx context.Context, r Request) ([]*certs.Identity, error) {
	if err := a.Check(r); err != nil {
		return nil, err
	}
	if !r.Separate && !TwoKeys(r.Key) {
		id, err := a.issue(ctx, r, SignAndEncrypt)
		if err != nil {
			return nil, err
		}
		return []*certs.Identity{id}, nil
	}
	encrypt, err := a.issue(ctx, r, OnlyEncrypt)
	if err != nil {
		return nil, err
	}
	sign, err := a.issue(ctx, r, OnlySign)
	if err != nil {
		return nil, err
	}
	// It travels with every signature, so that each recipient can encrypt.
	sign.Chain = append(sign.Chain, encrypt.Certificate)
	return []*certs.Identity{sign, encrypt}, nil
}

// Check says why a request can not be met, as far as that is known beforehand.
func (a *Authority) Check(r Request) error {
	if err := a.permits(r.Address); err != nil {
		return err
	}
	if r.Validity < 0 || r.Validity > maxValidity {
		return fmt.Errorf("certificate for %q: a validity of %d days is beyond the %d that are allowed", r.Address, r.Validity/(24*time.Hour), maxValidity/(24*time.Hour))
	}
	if !slices.Contains(keyKinds, r.Key) && r.Key != "" && r.Key != autoKey {
		return errKind(r.Key)
	}
	_, _, err := a.validity(r)
	return err
}

// Ready says why nothing can be issued now, for certificates of a validity.
func (a *Authority) Ready(validity time.Duration) error {
	_, _, err := a.validity(Request{Validity: validity})
	return err
}

func (a *Authority) issue(ctx context.Context, r Request, use Use) (*certs.Identity, error) {
	key, err := a.Generate(r.Kind(use))
	if err != nil {
		return nil, err
	}
	chain, err := a.Certify(ctx, r, use, key.Public())
	if err != nil {
		return nil, err
	}
	return &certs.Identity{Certificate: chain[0], Chain: chain[1:], Key: key}, nil
}

// Certify issues a certificate for a key that is there, notes it in the ledger, and returns
// it with what a recipient needs besides the root to check it. That the key's holder
// has it is for the caller to know. Key and Separate of the request have no effect.
func (a *Authority) Certify(ctx context.Context, r Request, use Use, pub crypto.PublicKey) ([]*x509.Certificate, error) {
	if err := a.permits(r.Address); err != nil {
		return nil, err
	}
	from, until, err := a.validity(r)
	if err != nil {
		return nil, err
	}
	policy, err := a.Profile.policy()
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		NotBefore: from, NotAfter: until,
		KeyUsage:              use.KeyUsage(pub),
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
		Policies:              []x509.OID{policy},
		CRLDistributionPoints: []string{a.Place.crlURL()},
		IssuingCertificateURL: []string{a.Place.certificateURL()},
	}
	if a.OCSP {
		t.OCSPServer = []string{a.Place.ocspURL()}
	}
	if err := Name(t, r.Address); err != nil {
		return nil, err
	}
	cert, err := certify(t, a.Config.Certificate, pub, a.Key)
	if err != nil {
		return nil, err
	}
	if err := a.Ledger.Issued(ctx, cert); err != nil {
		return nil, fmt.Errorf("certificate for %q: cannot be noted, so it is not issued: %w", r.Address, err)
	}
	return append([]*x509.Certificate{cert}, a.Intermediates()...), nil
}

// Intermediates are what a recipient needs besides the root to check what was issued.
func (a *Authority) Intermediates() []*x509.Certificate {
	var list []*x509.Certificate
	for _, c := range append([]*x509.Certificate{a.Config.Certificate}, a.Chain...) {
		if !SelfIssued(c) {
			list = append(list, c)
		}
	}
	return list
}

// validity begins a little in the past, for partners whose clocks are slow, and
// ends with the authority at the latest.
func (a *Authority) validity(r Request) (from, until time.Time, err error) {
	cert := a.Config.Certificate
	now := a.Clock().UTC().Truncate(time.Second)
	if now.Before(cert.NotBefore) || cert.NotAfter.Sub(now) < least {
		return from, until, fmt.Errorf("authority %q: is valid from %s to %s; it issues nothing beyond that, make a new one",
			cert.Subject.CommonName, cert.NotBefore.Format(time.DateOnly), cert.NotAfter.Format(time.DateOnly))
	}
	length := r.Validity
	if length == 0 {
		length = defaultValidity
	}
	from = now.Add(-backdate)
	if from.Before(cert.NotBefore) {
		from = cert.NotBefore
	}
	// RFC 5280 section 4.1.2.5: the last second counts.
	until = from.Add(length - time.Second)
	if until.After(cert.NotAfter) {
		until = cert.NotAfter
	}
	if !until.After(now) {
		return from, until, errors.New("validity: too short")
	}
	return from, until, nil
}

// permits reports an address that the authority's name constraints forbid (RFC
// 5280 section 4.2.1.10): relying parties would reject what it issued.
func (a *Authority) permits(addr address.Address) error {
	if _, err := mailbox(addr); err != nil {
		return err
	}
	permitted := a.Config.Certificate.PermittedEmailAddresses
	if len(permitted) == 0 {
		return nil
	}
	for _, p := range permitted {
		domain := strings.ToLower(p)
		if addr.Domain() == domain || strings.HasPrefix(domain, ".") && strings.HasSuffix(addr.Domain(), domain) {
			return nil
		}
	}
	return fmt.Errorf("address %q: the authority %q may issue only for %s", addr, a.Config.Certificate.Subject.CommonName, strings.Join(permitted, ", "))
}
