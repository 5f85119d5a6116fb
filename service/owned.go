package service

import (
	"context"
	"crypto/x509"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/smime/address"
)

// Owned is an own certificate: we hold, or a token holds for us, its private
// key.
type Owned struct {
	Certificate *x509.Certificate
	// Place is where the key is: "store", "file" or "token".
	Place string
	// Authority: it signs certificates, not mail.
	Authority bool
}

// pageSize is how many entries of the store are read at once.
const pageSize = 1000

// eachOwned calls f for every own certificate, until f returns false. What our
// authority revoked, or an administrator blocked, is none any more.
func (p *Parts) eachOwned(ctx context.Context, f func(Owned) bool) error {
	for _, o := range p.unstored() {
		if !f(o) {
			return nil
		}
	}
	return eachStored(ctx, p.store.Store, func(e store.Entry) bool {
		place := "store"
		if e.Token != "" {
			place = "token"
		}
		return f(Owned{Certificate: e.Certificate, Place: place, Authority: e.Origin == store.Authority})
	})
}

// unstored returns what is in files and in tokens.
func (p *Parts) unstored() []Owned {
	var all []Owned
	for _, id := range p.files.Identities() {
		all = append(all, Owned{Certificate: id.Certificate, Place: "file"})
	}
	for _, t := range p.tokens {
		for _, id := range t.Identities() {
			all = append(all, Owned{Certificate: id.Certificate, Place: "token"})
		}
	}
	return all
}

// eachStored calls f for every entry that has a private key.
func eachStored(ctx context.Context, s *store.Store, f func(store.Entry) bool) error {
	return eachEntry(ctx, s, store.Query{HasKey: new(true)}, f)
}

// eachEntry calls f for every entry that q asks for, until f returns false. What our
// authority revoked, or an administrator blocked, is left out.
func eachEntry(ctx context.Context, s *store.Store, q store.Query, f func(store.Entry) bool) error {
	q.Limit = pageSize
	for {
		page, err := s.Find(ctx, q)
		if err != nil {
			return err
		}
		for _, e := range page {
			if !takenBack(e) && !f(e) {
				return nil
			}
		}
		if len(page) < pageSize {
			return nil
		}
		q.After = page[len(page)-1].Fingerprint[:]
	}
}

// takenBack: it does not sign, and so its expiry does not matter.
func takenBack(e store.Entry) bool {
	return !e.RevokedAt.IsZero() || e.Mark == store.Blocked && e.Until.IsZero()
}

// Holdings are a summary of the identities, those of authorities left out.
type Holdings struct {
	// Count is how many there are, ended ones too.
	Count int
	// First is when the first that is still valid ends; zero: there is none.
	First time.Time
	// Expiring are our own, CAs too, that expire within the time
	// asked for and have no successor, the first first.
	Expiring []Owned
	// Revoked are those that a CRL of trust.crls revokes. They still sign: signing with an
	// identity does not check revocation.
	Revoked []Owned
	// Signing are the domains of the addresses for which a valid one signs, and those addresses.
	Signing map[string]bool
	// Unfit are those that are valid and whose key a profile in use does not allow.
	Unfit []Unfit
}

// Holdings looks through all that is ours.
func (p *Parts) Holdings(ctx context.Context, now time.Time, within time.Duration) (Holdings, error) {
	h := Holdings{Signing: map[string]bool{}}
	profiles, _ := profilesUsed(p.Config)
	err := p.eachOwned(ctx, func(o Owned) bool {
		end := o.Certificate.NotAfter
		if !o.Authority && end.After(now) {
			h.Unfit = p.judge(h.Unfit, profiles, o.Certificate)
		}
		if !o.Authority && end.After(now) && certs.Signs(o.Certificate) {
			for _, a := range certs.Addresses(o.Certificate) {
				h.Signing[a.Domain()], h.Signing[a.Key(p.store.place.localPart)] = true, true
			}
		}
		if !o.Authority {
			h.Count++
			if end.After(now) && (h.First.IsZero() || end.Before(h.First)) {
				h.First = end
			}
		}
		if end.After(now) && !end.After(now.Add(within)) {
			h.Expiring = append(h.Expiring, o)
		}
		return true
	})
	if err != nil {
		return h, err
	}
	var lasting []Owned
	for _, o := range h.Expiring {
		succeeded, err := p.succeeded(ctx, o)
		if err != nil {
			return h, err
		}
		if !succeeded {
			lasting = append(lasting, o)
		}
	}
	slices.SortStableFunc(lasting, func(a, b Owned) int { return a.Certificate.NotAfter.Compare(b.Certificate.NotAfter) })
	h.Expiring = lasting
	return h, nil
}

// revoked returns the identities that a CRL at hand revokes, those of authorities left out.
func (p *Parts) revoked(ctx context.Context) ([]Owned, error) {
	if len(p.Config.Trust.CRLs) == 0 {
		return nil, nil
	}
	offline := p.Validator.Offline()
	var all []Owned
	look := func(o Owned, chain []*x509.Certificate) bool {
		r := certs.Request{Purpose: certs.ForSigning, Intermediates: chain, Revocation: certs.RevocationPrefer}
		if !certs.Signs(o.Certificate) {
			r.Purpose = certs.ForEncryption
		}
		if !o.Authority && offline.Check(ctx, o.Certificate, r).Reason == certs.Revoked {
			all = append(all, o)
		}
		return ctx.Err() == nil
	}
	for _, id := range p.files.Identities() {
		look(Owned{Certificate: id.Certificate, Place: "file"}, id.Chain)
	}
	for _, t := range p.tokens {
		for _, id := range t.Identities() {
			look(Owned{Certificate: id.Certificate, Place: "token"}, id.Chain)
		}
	}
	err := eachEntry(ctx, p.store.Store, store.Query{HasKey: new(true), Chain: true}, func(e store.Entry) bool {
		return look(Owned{Certificate: e.Certificate, Place: "store", Authority: e.Origin == store.Authority}, e.Chain)
	})
	return all, err
}

// succeeded reports whether other own certificates do, for every address of o, what o
// does, and for longer. An authority has no address and no successor.
func (p *Parts) succeeded(ctx context.Context, o Owned) (bool, error) {
	addresses := certs.Addresses(o.Certificate)
	if o.Authority || len(addresses) == 0 {
		return false, nil
	}
	for _, a := range addresses {
		others, err := p.ownedFor(ctx, a)
		if err != nil {
			return false, err
		}
		for _, serves := range []func(*x509.Certificate) bool{certs.Signs, certs.Decrypts} {
			if serves(o.Certificate) && !slices.ContainsFunc(others, func(c *x509.Certificate) bool {
				return serves(c) && c.NotAfter.After(o.Certificate.NotAfter) && !c.NotBefore.After(o.Certificate.NotAfter)
			}) {
				return false, nil
			}
		}
	}
	return true, nil
}

// ownedFor returns the own certificates that name an address.
func (p *Parts) ownedFor(ctx context.Context, a address.Address) ([]*x509.Certificate, error) {
	has := true
	entries, err := p.store.Find(ctx, store.Query{Address: &a, HasKey: &has})
	if err != nil {
		return nil, err
	}
	var all []*x509.Certificate
	for _, e := range entries {
		if !takenBack(e) {
			all = append(all, e.Certificate)
		}
	}
	for _, o := range p.unstored() {
		if slices.ContainsFunc(certs.Addresses(o.Certificate), func(named address.Address) bool { return named.Equal(a, p.store.place.localPart) }) {
			all = append(all, o.Certificate)
		}
	}
	return all, nil
}
