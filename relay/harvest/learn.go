package harvest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/address"
)

const (
	// maxAhead is how far in the future a signing time may lie: clocks differ.
	// What is said at a time that has not come would count before everything
	// that is said until then.
	maxAhead = time.Hour
	// maxTried is how many certificates of one signer are judged.
	maxTried = 4
)

// learn stores the certificate that a signer wants to be encrypted to.
func (h *Harvester) learn(ctx context.Context, author address.Address, s smime.Signer) {
	now := h.cfg.Clock()
	cert, verdict := h.choose(ctx, author, s)
	if cert == nil {
		if verdict.Result != certs.TempError {
			h.recent.put(sha256.Sum256(s.Certificate.Raw), lesson(s), now)
		}
		h.counted(outcomeRefused)
		h.cfg.Log.DebugContext(ctx, "not harvested", "address", author, "result", verdict.Result, "reason", verdict.Reason)
		return
	}
	outcome, err := h.store(ctx, author, newEntry(s, cert, verdict, now))
	h.counted(outcome)
	if err != nil {
		h.cfg.Log.WarnContext(ctx, "not harvested", "address", author, "error", err)
		return
	}
	h.recent.put(sha256.Sum256(s.Certificate.Raw), lesson(s), now)
}

// newEntry is what is stored of a certificate.
func newEntry(s smime.Signer, cert *x509.Certificate, verdict certs.Verdict, now time.Time) store.New {
	n := store.New{Certificate: cert, Verdict: verdict}
	for _, issuer := range verdict.Chain {
		if !issuer.Equal(cert) && !selfIssued(issuer) && len(n.Chain) < store.MaxChain {
			n.Chain = append(n.Chain, issuer)
		}
	}
	var signed time.Time
	if s.SigningTime != nil {
		signed = *s.SigningTime
	}
	if !signed.After(now.Add(maxAhead)) {
		n.Ciphers, n.SignedAt = s.Capabilities.Ciphers(), signed
	}
	return n
}

// selfIssued reports the certificates that no chain needs: who trusts them has
// them.
func selfIssued(c *x509.Certificate) bool { return bytes.Equal(c.RawIssuer, c.RawSubject) }

// choose returns the certificate to encrypt to by RFC 8551 section 2.5.3.1: the
// one that the signer names if it came with the message, and if none is named the
// signer's own or, where that does not serve, another of the same subject. It is
// nil if none passes, and the verdict is then the last one.
func (h *Harvester) choose(ctx context.Context, author address.Address, s smime.Signer) (*x509.Certificate, certs.Verdict) {
	var verdict certs.Verdict
	for i, c := range candidates(s) {
		if i == maxTried {
			break
		}
		verdict = h.cfg.Checker.Check(ctx, c, certs.Request{
			Purpose: certs.ForEncryption, Addresses: []address.Address{author}, Intermediates: s.Bundle,
		})
		if verdict.Result == certs.Pass {
			return c, verdict
		}
	}
	return nil, verdict
}

// candidates are the certificates that may be meant, the likeliest first.
func candidates(s smime.Signer) []*x509.Certificate {
	var list []*x509.Certificate
	for _, c := range s.Bundle {
		named := s.Preferred != nil && s.Preferred.Matches(c)
		twin := s.Preferred == nil && bytes.Equal(c.RawSubject, s.Certificate.RawSubject) && !c.Equal(s.Certificate)
		if named || twin {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, certs.ByAge)
	if s.Preferred == nil || len(list) == 0 && s.Preferred.Matches(s.Certificate) {
		list = slices.Insert(list, 0, s.Certificate)
	}
	return list
}

// store puts n in, if there is room for it, and returns what came of it.
func (h *Harvester) store(ctx context.Context, author address.Address, n store.New) (outcome string, err error) {
	room, err := h.makeRoom(ctx, author, n.Certificate)
	if err != nil {
		return outcomeFailed, err
	}
	if !room {
		return outcomeFull, nil
	}
	stored, err := h.cfg.Store.Put(ctx, store.Harvested, n)
	switch {
	case err != nil:
		return outcomeFailed, err
	case stored.Known > 0:
		return outcomeKnown, nil
	case stored.Changed > 0:
		outcome = outcomeChanged
	default:
		outcome = outcomeNew
	}
	h.cfg.Log.InfoContext(ctx, "harvested", "address", author, "outcome", outcome,
		"sha256", fmt.Sprintf("%x", sha256.Sum256(n.Certificate.Raw)), "ciphers", n.Ciphers)
	return outcome, nil
}

// makeRoom sees to it that no one can fill the store: of one address the newest
// certificates are kept. It reports whether there is room for cert.
func (h *Harvester) makeRoom(ctx context.Context, author address.Address, cert *x509.Certificate) (bool, error) {
	known, err := h.cfg.Store.Find(ctx, store.Query{Prefix: fmt.Sprintf("%x", sha256.Sum256(cert.Raw))})
	if err != nil || len(known) > 0 {
		return true, err
	}
	if !h.budget.spend(author.Domain(), h.cfg.Clock()) {
		h.cfg.Log.WarnContext(ctx, "not harvested: too many new certificates this hour", "domain", author.Domain())
		return false, nil
	}
	all, err := h.cfg.Store.Find(ctx, store.Query{Address: &author, Origins: []store.Origin{store.Harvested}})
	if err != nil {
		return false, err
	}
	// They come youngest first; cert takes the place of the oldest.
	if len(all) < perAddress {
		return true, nil
	}
	if !cert.NotBefore.After(all[perAddress-1].Certificate.NotBefore) {
		return false, nil
	}
	_, err = h.forget(ctx, all[perAddress-1:])
	return true, err
}
