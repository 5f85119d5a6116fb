// Package publish has the certificates by which others encrypt to local addresses, judged
// in advance, so that an answer to a stranger asks nothing of the store, of a directory
// or of a revocation service: it costs the same whether or not there is a certificate.
// Packages below it answer, each by one protocol.
package publish

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime/address"
)

// Entry is an address with its certificates.
type Entry struct {
	Address address.Address
	// Certificates can be encrypted to: of each kind of key the newest, newest first.
	Certificates []*x509.Certificate
	// Chain holds intermediates of all of them, without trust anchors.
	Chain []*x509.Certificate
}

// Config is what New needs.
type Config struct {
	// Each calls f for each certificate whose key is held for a local address, with what
	// is known of its chain, until f returns false. It may name a certificate twice.
	Each func(ctx context.Context, f func(c *x509.Certificate, chain []*x509.Certificate) bool) error
	// Own reports whether an address is local: no other is published.
	Own       func(address.Address) bool
	Checker   certs.Checker
	LocalPart address.LocalPart
	Clock     func() time.Time
}

// rejudge is how long a verdict counts that has no end of its own, or a later one.
const rejudge = 10 * time.Minute

// retry is when it is tried again to judge what could not be judged.
const retry = time.Minute

// judged is a certificate that may be published.
type judged struct {
	certificate *x509.Certificate
	chain       []*x509.Certificate
	until       time.Time // the verdict counts
}

// Snapshot has the entries of one moment. It never changes after it was made.
type Snapshot struct {
	cfg     Config
	entries map[string]*Entry
	sorted  []*Entry // by address
	judged  map[[sha256.Size]byte]judged
	unsure  map[string]*Entry // the certificates that could not be judged, by address
	until   time.Time
}

// New judges all certificates and returns a snapshot of those that can be encrypted to now.
// Verdicts of before, which may be nil, are used again while they count, if the same
// Checker gave them.
func New(ctx context.Context, cfg Config, before *Snapshot) (*Snapshot, error) {
	now := cfg.Clock()
	s := &Snapshot{cfg: cfg, entries: map[string]*Entry{}, judged: map[[sha256.Size]byte]judged{}, unsure: map[string]*Entry{}, until: now.Add(rejudge)}
	if before != nil && before.cfg.Checker != cfg.Checker {
		before = nil
	}
	err := cfg.Each(ctx, func(c *x509.Certificate, chain []*x509.Certificate) bool {
		s.add(ctx, c, chain, before, now)
		return ctx.Err() == nil
	})
	if err = cmp.Or(err, ctx.Err()); err != nil {
		return nil, err
	}
	s.index()
	return s, nil
}

// add judges a certificate and keeps it if it may be published.
func (s *Snapshot) add(ctx context.Context, c *x509.Certificate, chain []*x509.Certificate, before *Snapshot, now time.Time) {
	if !slices.ContainsFunc(certs.Addresses(c), s.cfg.Own) || now.After(c.NotAfter) || !certs.Decrypts(c) {
		return
	}
	fingerprint := sha256.Sum256(c.Raw)
	if _, ok := s.judged[fingerprint]; ok {
		return
	}
	if before != nil {
		if j, ok := before.judged[fingerprint]; ok && now.Before(j.until) {
			s.keep(fingerprint, j)
			return
		}
	}
	if now.Before(c.NotBefore) {
		s.expect(c.NotBefore)
		return
	}
	v := s.cfg.Checker.Check(ctx, c, certs.Request{Purpose: certs.ForEncryption, Intermediates: chain, At: now})
	if v.Result == certs.TempError {
		s.expect(now.Add(retry))
		s.file(s.unsure, c)
	}
	if v.Result != certs.Pass {
		return
	}
	j := judged{certificate: c, until: now.Add(rejudge)}
	for _, end := range []time.Time{c.NotAfter, v.Until} {
		if !end.IsZero() && end.Before(j.until) {
			j.until = end
		}
	}
	if n := len(v.Chain); n > 2 {
		j.chain = v.Chain[1 : n-1]
	}
	s.keep(fingerprint, j)
}

func (s *Snapshot) keep(fingerprint [sha256.Size]byte, j judged) {
	s.judged[fingerprint] = j
	s.expect(j.until)
}

// expect notes that a later snapshot will be another.
func (s *Snapshot) expect(t time.Time) {
	if t.Before(s.until) {
		s.until = t
	}
}

// index files the certificates under their addresses.
func (s *Snapshot) index() {
	for _, j := range s.judged {
		s.file(s.entries, j.certificate)
	}
	for _, e := range s.entries {
		s.complete(e)
		s.sorted = append(s.sorted, e)
	}
	slices.SortFunc(s.sorted, func(x, y *Entry) int {
		return cmp.Compare(x.Address.Key(s.cfg.LocalPart), y.Address.Key(s.cfg.LocalPart))
	})
}

// file adds a certificate to the entries of its local addresses.
func (s *Snapshot) file(entries map[string]*Entry, c *x509.Certificate) {
	for _, a := range certs.Addresses(c) {
		if !s.cfg.Own(a) {
			continue
		}
		key := a.Key(s.cfg.LocalPart)
		e := entries[key]
		if e == nil {
			e = &Entry{Address: a}
			entries[key] = e
		} else if a.String() < e.Address.String() {
			e.Address = a // one spelling, whatever the order: names in the DNS depend on it
		}
		if !slices.ContainsFunc(e.Certificates, c.Equal) {
			e.Certificates = append(e.Certificates, c)
		}
	}
}

// complete keeps the newest of each kind of key, and collects their chains.
func (s *Snapshot) complete(e *Entry) {
	slices.SortFunc(e.Certificates, certs.ByAge)
	kinds := map[string]bool{}
	e.Certificates = slices.DeleteFunc(e.Certificates, func(c *x509.Certificate) bool {
		kind := fmt.Sprintf("%T", pkix.PublicKey(c))
		defer func() { kinds[kind] = true }()
		return kinds[kind]
	})
	for _, c := range e.Certificates {
		for _, above := range s.judged[sha256.Sum256(c.Raw)].chain {
			if !slices.ContainsFunc(e.Chain, above.Equal) {
				e.Chain = append(e.Chain, above)
			}
		}
	}
}

// Find returns the entry of an address, or nil. Entries are not to be changed.
func (s *Snapshot) Find(a address.Address) *Entry { return s.entries[a.Key(s.cfg.LocalPart)] }

// Unknown reports whether an address has no entry because a certificate of it could not be
// judged: that there is none must not be said.
func (s *Snapshot) Unknown(a address.Address) bool {
	_, unsure := s.unsure[a.Key(s.cfg.LocalPart)]
	return unsure && s.Find(a) == nil
}

// All returns all entries, in the order of their addresses.
func (s *Snapshot) All() iter.Seq[*Entry] { return slices.Values(s.sorted) }

// Len returns how many entries there are.
func (s *Snapshot) Len() int { return len(s.sorted) }

// Unsure are the certificates that could not be judged, of addresses that match.
func (s *Snapshot) Unsure(match func(address.Address) bool) Unsure {
	u := Unsure{}
	for _, e := range s.unsure {
		if !match(e.Address) {
			continue
		}
		for _, c := range e.Certificates {
			u[sha256.Sum256(c.Raw)] = true
		}
	}
	return u
}

// Unsure are fingerprints of certificates that could not be judged: where one was written
// outside, it is neither confirmed nor withdrawn, and where it was not, it is not written.
type Unsure map[[sha256.Size]byte]bool

// Keep returns those of the noted values that are such certificates in DER.
func (u Unsure) Keep(noted [][]byte) [][]byte {
	return slices.DeleteFunc(slices.Clone(noted), func(der []byte) bool { return !u[sha256.Sum256(der)] })
}

// Until is when the first verdict ends that the snapshot rests on.
func (s *Snapshot) Until() time.Time { return s.until }

// Outdated reports whether a newer snapshot should have been made long ago: what it says counts no
// longer.
func (s *Snapshot) Outdated(now time.Time) bool { return now.After(s.until.Add(rejudge)) }
