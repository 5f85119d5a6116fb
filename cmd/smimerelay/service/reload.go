package service

import (
	"context"
	"fmt"
	"reflect"

	"github.com/smimerelay/smimerelay/internal/config"
)

// reload reads the file again and puts all of it to use, or nothing: with a file
// that has a problem, or that asks for what only a restart can do, the old
// configuration serves on.
func (s *Service) reload(context.Context) {
	parts, problems := Load(s.options.Path, s.options.Clock, s.log)
	if len(problems) == 0 {
		old, release := s.use()
		problems = restartNeeded(old.Config, parts.Config)
		release()
		if len(problems) > 0 {
			s.closed(parts.Close())
		}
	}
	if len(problems) > 0 {
		for _, p := range problems {
			s.log.Error("configuration problem", "problem", p.String())
		}
		s.log.Error("reload failed: the old configuration serves on", "problems", len(problems))
		s.metrics.Reloads.WithLabelValues("failed").Inc()
		return
	}
	s.install(parts)
	s.metrics.Reloads.WithLabelValues("done").Inc()
	s.log.Info("reloaded", "config", s.options.Path)
}

// restartNeeded names the tables that can not change while we serve and did.
func restartNeeded(before, after *config.Config) config.Problems {
	var ps config.Problems
	check := func(key string, a, b any) {
		if !reflect.DeepEqual(a, b) {
			ps = append(ps, after.Problem(key, "changed", "restart the service to put it to use"))
		}
	}
	check("hostname", before.Hostname, after.Hostname)
	check("log.format", before.Log.Format, after.Log.Format)
	check("admin", before.Admin, after.Admin)
	check("limits", before.Limits, after.Limits)
	check("queue", before.Queue, after.Queue)
	if len(before.Listeners) != len(after.Listeners) {
		return append(ps, after.Problem("listener", fmt.Sprintf("%d instead of %d", len(after.Listeners), len(before.Listeners)), "restart the service to put it to use"))
	}
	for i := range before.Listeners {
		a, b := before.Listeners[i], after.Listeners[i]
		check(key("listener", i, ""), []string{a.Name, a.Protocol, a.Address}, []string{b.Name, b.Protocol, b.Address})
	}
	return ps
}
