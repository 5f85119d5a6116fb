package service

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/relay/gateway"
)

// Polls are how often it is looked whether there is work. The zero value of each is
// its default.
type Polls struct {
	// Store is for changes of what the validator must know, by default two seconds.
	Store time.Duration
	// Authority is for CRLs of the built-in CA that are due, by default 30 seconds.
	Authority time.Duration
	// Expiry is for changes of the identities, by default one minute.
	Expiry time.Duration
	// Enrolment is for orders of certificates that are due, by default ten seconds.
	Enrolment time.Duration
	// Publish is for changes of what is published, by default ten seconds.
	Publish time.Duration
}

// withDefaults returns p with every interval set.
func (p Polls) withDefaults() Polls {
	return Polls{
		Store:     cmp.Or(p.Store, 2*time.Second),
		Authority: cmp.Or(p.Authority, 30*time.Second),
		Expiry:    cmp.Or(p.Expiry, time.Minute),
		Enrolment: cmp.Or(p.Enrolment, 10*time.Second),
		Publish:   cmp.Or(p.Publish, 10*time.Second),
	}
}

// watchStore asks until ctx ends, and tells the goroutine of Run of a change,
// made by any process: this one, the command line, or another node.
func (s *Service) watchStore(ctx context.Context) {
	tick := time.NewTicker(s.options.Polls.Store)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !s.storeChanged(ctx) {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case s.changed <- struct{}{}:
		}
	}
}

// storeChanged reports whether the parts in use are behind the store. A store that
// does not answer is logged once, and once when it does again.
func (s *Service) storeChanged(ctx context.Context) bool {
	p, release := s.use()
	defer release()
	behind, err := p.behindStore(ctx)
	if ctx.Err() != nil {
		return false
	}
	p.store.silent.Store(err != nil)
	s.storeAnswers(err)
	return behind
}

// behindStore reports whether the store says something else about trust than
// these parts know, or can be opened with a key file that was not there.
func (p *Parts) behindStore(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, p.store.timeout)
	defer cancel()
	// Lookups learn by this too what others put into the store.
	generation, err := p.store.TrustGeneration(ctx)
	return err == nil && (generation != p.trusted.generation || p.store.keyAppeared()), err
}

func (s *Service) storeAnswers(err error) {
	silent := err != nil
	if silent == s.storeSilent {
		return
	}
	s.storeSilent = silent
	if silent {
		s.metrics.StoreUp.Set(0)
		s.log.Error("certificate store unavailable: dependent mail is deferred; last known trust overrides stay in force", "error", err)
		return
	}
	s.metrics.StoreUp.Set(1)
	s.log.Info("certificate store available again")
}

// rebuild makes the parts again, of the configuration in use: the file may be half
// edited. What can not be done now is tried again, and logged once.
func (s *Service) rebuild(ctx context.Context) {
	p, release := s.use()
	defer release()
	if behind, err := p.behindStore(ctx); !behind && err == nil {
		return // done since it was asked for, by a reload perhaps
	}
	parts, problems := build(p.Config, nil, s.setting(p))
	if len(problems) > 0 {
		s.notRebuilt(problems)
		return
	}
	c, err := s.prepare(ctx, parts)
	if err != nil {
		s.closed(parts.Close())
		s.notRebuilt(err)
		return
	}
	s.commit(c)
	s.problem = ""
	s.log.Info("certificate store changed; changes applied", "generation", parts.trusted.generation,
		"marks", len(parts.trusted.exceptions), "authorities", len(parts.trusted.authorities))
}

func (s *Service) notRebuilt(err error) {
	if err.Error() == s.problem {
		return
	}
	s.problem = err.Error()
	s.log.Error("certificate store changed, but the changes could not be applied; retrying", "error", strings.ReplaceAll(s.problem, "\n", "; "))
}

// setting is in what this service builds parts.
func (s *Service) setting(before *Parts) setting {
	return setting{
		clock: s.options.Clock, log: s.log, serving: true, before: before, storeTimeout: s.options.StoreTimeout,
		decided: func(d gateway.Decision) { s.recorder.Load().decision(d) },
		hidSubject: func(ctx context.Context, ids []string) (bool, error) {
			return s.recorder.Load().hidSubject(ctx, ids)
		},
		asked: s.asked,
		allow: s.allowCommand, uncount: s.commands.uncount,
		fates: s.fates,
		countToken: func(token, operation, result string) {
			s.metrics.TokenUses.WithLabelValues(token, operation, result).Inc()
		},
	}
}
