package service

import (
	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay/harvest"
)

// harvester makes what learns from inbound mail, and says what is wrong with its
// configuration. Only who serves learns.
func (b *builder) harvester() {
	own, err := enforce.CompilePatterns(b.domains())
	if err != nil {
		return // the gateway says so
	}
	in := b.config.Inbound
	c := harvest.Config{
		From: b.patterns("inbound.harvest_domains", in.HarvestDomains), Except: b.patterns("inbound.harvest_except", in.HarvestExcept),
		Own: own, Off: !in.Harvest, Clock: b.clock, Log: b.log,
	}
	if !b.serving || b.parts.store == nil || len(b.problems) > 0 {
		return
	}
	c.Store, c.Checker = b.parts.store.Store, b.parts.Validator
	b.parts.harvester = harvest.New(c)
}

// patterns compiles a list; nil for an empty one.
func (b *builder) patterns(key string, list []string) *enforce.Patterns {
	if len(list) == 0 {
		return nil
	}
	p, err := enforce.CompilePatterns(list)
	for _, e := range fault.Each(err) {
		b.complainOf(key, e.Error(), pattern)
	}
	return p
}

// looked receives the lookups of the parts in use.
func (s *Service) looked(p *Parts) func(directory.Result) {
	return func(r directory.Result) {
		s.lookedUp(r)
		p.harvester.Looked(r)
	}
}
