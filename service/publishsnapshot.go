package service

import (
	"context"
	"crypto/x509"
	"time"

	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/publish"
)

// watchPublish keeps what is published as the store and the keys have it, until ctx ends.
func (s *Service) watchPublish(ctx context.Context) {
	tick := time.NewTicker(s.options.Polls.Publish)
	defer tick.Stop()
	of := publishState{written: map[string]*written{}}
	logged := ""
	for {
		text := ""
		if err := s.publishOnce(ctx, &of); err != nil {
			text = err.Error()
		}
		if text != logged && text != "" && ctx.Err() == nil {
			s.log.Warn("certificates to publish could not be read", "error", text)
		}
		logged = text
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// publishState is what the snapshot in use was made of, and what became of it elsewhere.
type publishState struct {
	parts      *Parts
	generation int64
	written    map[string]*written // by [[publish]] table
}

// publishOnce makes a new snapshot where the one in use is out of date.
func (s *Service) publishOnce(ctx context.Context, of *publishState) error {
	p, release := s.use()
	defer release()
	if len(p.Config.Publish) == 0 {
		s.published.Store(nil)
		return nil
	}
	generation, err := p.store.Generation(ctx)
	if err != nil {
		return err
	}
	before := s.published.Load()
	if before != nil && of.parts == p && of.generation == generation && s.options.Clock().Before(before.Until()) {
		s.publishOut(ctx, p, before, of)
		return nil
	}
	snapshot, err := p.Snapshot(ctx, s.options.Clock, before)
	if err != nil {
		return err
	}
	of.parts, of.generation = p, generation
	s.published.Store(snapshot)
	if before == nil || before.Len() != snapshot.Len() {
		s.log.Info("certificates published", "published", snapshot.Len())
	}
	s.publishOut(ctx, p, snapshot, of)
	return nil
}

// currentSnapshot is what is published now; nil where it is too old to count, as where the store does
// not answer.
func (s *Service) currentSnapshot() *publish.Snapshot {
	if b := s.published.Load(); b != nil && !b.Outdated(s.options.Clock()) {
		return b
	}
	return nil
}

// Snapshot judges the certificates of local addresses that others may have. Verdicts of before,
// which may be nil, are used again.
func (p *Parts) Snapshot(ctx context.Context, clock func() time.Time, before *publish.Snapshot) (*publish.Snapshot, error) {
	own, err := isLocal(p.Config)
	if err != nil {
		return nil, err
	}
	return publish.New(ctx, publish.Config{
		Each: p.eachPublished, Own: own, Checker: p.Validator, LocalPart: p.store.place.localPart, Clock: clock,
	}, before)
}

// eachPublished calls f for the certificates whose keys are in files, in tokens and in the
// store, and for those that the built-in CA issued for keys that are elsewhere.
func (p *Parts) eachPublished(ctx context.Context, f func(c *x509.Certificate, chain []*x509.Certificate) bool) error {
	ids := p.files.Identities()
	for _, t := range p.tokens {
		if err := t.Err(); err != nil {
			return err // what it holds is not known: the snapshot of before counts until it is outdated
		}
		ids = append(ids, t.Identities()...)
	}
	for _, id := range ids {
		if !f(id.Certificate, id.Chain) {
			return nil
		}
	}
	for _, q := range []store.Query{{HasKey: new(true), Chain: true}, {Origins: []store.Origin{store.Issued}, Chain: true}} {
		err := eachEntry(ctx, p.store.Store, q, func(e store.Entry) bool {
			return e.Origin == store.Authority || f(e.Certificate, e.Chain)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
