package service

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/internal/config"
)

// change is the step from one configuration to the next, prepared so far that
// nothing in it can fail any more.
type change struct {
	parts     *Parts
	listeners []*listener // all that serve after it
	fresh     []*listener // of these, those that do not serve yet
	opened    []*socket
	queue     bool // the queue was opened for it
}

// prepare does everything of a change that can fail: it opens sockets and the
// queue. When it fails everything is as before.
func (s *Service) prepare(ctx context.Context, p *Parts) (*change, error) {
	if ps := s.restartNeeded(p.Config); len(ps) > 0 {
		return nil, ps
	}
	had := s.queue != nil
	if err := s.openQueue(ctx, p.Config); err != nil {
		return nil, err
	}
	c := &change{parts: p, queue: !had && s.queue != nil}
	if err := s.openConsole(ctx, p.Config); err != nil {
		if c.queue {
			s.dropQueue()
		}
		return nil, err
	}
	for _, spec := range specs(p) {
		if i := slices.IndexFunc(s.listeners, func(d *listener) bool { return d.spec == spec }); i >= 0 {
			c.listeners = append(c.listeners, s.listeners[i])
			continue
		}
		if err := s.prepareListener(ctx, c, spec); err != nil {
			c.undo()
			if c.queue {
				s.dropQueue()
			}
			return nil, fmt.Errorf("listener %q at %s: %w", spec.name, spec.address, err)
		}
	}
	return c, nil
}

// prepareListener makes a listener that does not serve yet: on the socket of a listener
// with the same address, or on a new one.
func (s *Service) prepareListener(ctx context.Context, c *change, spec listenerSpec) error {
	d := &listener{spec: spec}
	for _, old := range s.listeners {
		if old.spec.address == spec.address && old.spec.mode == spec.mode && (old.spec.name == spec.name || !anyPort(spec.address)) {
			d.socket = old.socket
		}
	}
	if d.socket == nil {
		opened, err := s.inherited.listen(ctx, spec.address, spec.mode)
		if err != nil && !strings.HasPrefix(spec.address, "systemd:") {
			return listenTrouble(config.Place(spec.address), err)
		}
		if err != nil {
			return err
		}
		d.socket = opened
		c.opened = append(c.opened, opened)
	}
	var err error
	if d.listener, err = d.socket.share(); err != nil {
		return err
	}
	d.server = s.newServer(spec)
	c.listeners, c.fresh = append(c.listeners, d), append(c.fresh, d)
	return nil
}

// anyPort reports whether the kernel chooses the port: two such addresses are
// not the same.
func anyPort(address string) bool { return strings.HasSuffix(address, ":0") }

// undo closes what prepare opened.
func (c *change) undo() {
	for _, d := range c.fresh {
		d.listener.Close()
	}
	for _, o := range c.opened {
		o.Close()
	}
}

// commit puts a change to use. The listeners that go finish their messages in the
// background.
func (s *Service) commit(c *change) {
	before := s.listeners
	for _, d := range before {
		if !slices.Contains(c.listeners, d) {
			// It accepts nothing more: who connects now waits for the next server.
			d.shutting.Store(true)
			d.listener.Close()
		}
	}
	c.parts.Directory.Observe(s.looked(c.parts))
	count := func(policy, result string) { s.metrics.TLSSessions.WithLabelValues(policy, result).Inc() }
	c.parts.routes.count.Store(&count)
	if s.queue != nil {
		freed := s.queue.Freed
		c.parts.routes.freed.Store(&freed)
	}
	c.parts.harvester.Count(func(outcome string) { s.metrics.Harvested.WithLabelValues(outcome).Inc() })
	s.swap(c.parts)
	s.record(c.parts.Config)
	s.trace(c.parts)
	s.listeners = c.listeners
	if c.queue {
		s.startQueue()
	}
	if s.queue != nil && len(before) > 0 {
		if err := s.queue.Recheck(context.Background()); err != nil {
			s.log.Warn("reading held messages failed", "error", err)
		}
	}
	for _, d := range c.fresh {
		s.log.Info("listening", "listener", d.spec.name, "protocol", d.spec.protocol, "listen", d.listener.Addr().String())
		s.work.Go(func() { s.serve(d) })
	}
	for _, d := range before {
		if slices.Contains(s.listeners, d) {
			continue
		}
		if !slices.ContainsFunc(s.listeners, func(n *listener) bool { return n.socket == d.socket }) {
			d.socket.Close()
		}
		limit := c.parts.Config.Limits.ShutdownTimeout
		s.work.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), limit)
			defer cancel()
			s.shut(ctx, d)
		})
	}
	s.installed(c.parts)
}

// restartNeeded names what can not change while we serve and did.
func (s *Service) restartNeeded(after *config.Config) config.Problems {
	if s.parts == nil {
		return nil
	}
	p, release := s.use()
	defer release()
	before := p.Config
	var ps config.Problems
	check := func(key string, a, b any) {
		if !reflect.DeepEqual(a, b) {
			ps = append(ps, after.Problem(key, "changed", "restart the service to apply it"))
		}
	}
	check("log.format", before.Log.Format, after.Log.Format)
	if s.console != nil && after.Console.Address != "" {
		check("console.path", before.Console.Path, after.Console.Path)
		check("console.session_lifetime", before.Console.Lifetime, after.Console.Lifetime)
		check("console.session_idle", before.Console.Idle, after.Console.Idle)
	}
	if s.queue != nil && needsQueue(after) {
		check("queue", before.Queue, after.Queue)
		if before.Store.Shared() || after.Store.Shared() { // see QueuePlace
			check("store.url", before.Store.URL, after.Store.URL)
		}
	}
	return ps
}

// reload reads the file again and puts all of it to use, or nothing: with a file
// that has a problem, or that asks for what only a restart can do, the old
// configuration serves on. What lookups remember is forgotten in either case.
func (s *Service) reload(ctx context.Context) error {
	parts, problems := s.load()
	if len(problems) > 0 {
		s.refuse(problems)
		return problems
	}
	c, err := s.prepare(ctx, parts)
	if err != nil {
		s.closed(parts.Close())
		s.refuse(err)
		return err
	}
	s.commit(c)
	s.configLoaded()
	s.metrics.Reloads.WithLabelValues("done").Inc()
	s.log.Info("reloaded", "config", s.options.Path)
	return nil
}

// load builds the parts of the file, as it is now, upon the open store.
func (s *Service) load() (*Parts, config.Problems) {
	c, problems := config.Load(s.options.Path)
	if c == nil {
		return nil, problems
	}
	p, release := s.use()
	defer release()
	return build(c, problems, s.setting(p))
}

// refuse says why a reload was not done. The administrator may have asked for it
// because of what a directory has now.
func (s *Service) refuse(err error) {
	p, release := s.use()
	defer release()
	p.Directory.Flush()
	lines := []string{err.Error()}
	if ps, ok := errors.AsType[config.Problems](err); ok {
		lines = lines[:0]
		for _, p := range ps {
			lines = append(lines, p.String())
		}
	}
	for _, l := range lines {
		s.log.Error("configuration problem", "error", l)
	}
	s.log.Error("reload failed: the old configuration stays in effect", "config", s.options.Path, "problems", len(lines))
	now := s.options.Clock()
	s.refused.Store(&now)
	s.metrics.Reloads.WithLabelValues("failed").Inc()
}
