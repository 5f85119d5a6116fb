package service

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/publish"
	"github.com/smimerelay/smimerelay/publish/userentry"
)

const (
	// publishRetry is when it is tried again to write what could not be written; each further
	// failure doubles it up to publishRetryMost, so that no account is locked, and what no one
	// mends costs little.
	publishRetry     = time.Minute
	publishRetryMost = time.Hour
	// publishRound bounds what is written at one time: the rest follows after the snapshot was
	// looked at again, which others are answered from.
	publishRound = 30 * time.Second
)

// written is what became of the last attempt to write a snapshot to a target outside.
type written struct {
	parts    *Parts
	snapshot *publish.Snapshot // nil: not all of it was written that the target does not refuse
	pause    pause             // after the target failed
	refused  map[string]pause  // of objects that a target refuses which works
	logged   []string          // causes of failures, since the last success
	absent   int               // addresses that had no entry when they were logged
}

// pause is how long it is not tried again what failed. The zero value has ended.
type pause struct {
	until time.Time
	took  time.Duration
}

// longer is the pause after another failure.
func (p pause) longer(now time.Time) pause {
	took := min(max(2*p.took, publishRetry), publishRetryMost)
	return pause{now.Add(took), took}
}

func (p pause) over(now time.Time) bool { return !now.Before(p.until) }

// due reports whether there is something to write: what has changed, or what was refused before.
func (w *written) due(snapshot *publish.Snapshot, now time.Time) bool {
	if !w.pause.over(now) {
		return false
	}
	again := false
	for _, p := range w.refused {
		again = again || p.over(now)
	}
	return again || w.snapshot != snapshot
}

// refuse notes what the target refused in an attempt; all says that it was asked for every object
// whose pause was over.
func (w *written) refuse(objects []string, all bool, now time.Time) {
	before := w.refused
	w.refused = map[string]pause{}
	for o, p := range before {
		if !all || !p.over(now) {
			w.refused[o] = p
		}
	}
	for _, o := range objects {
		w.refused[o] = before[o].longer(now)
	}
}

// publishOut writes a snapshot to the targets outside that do not have it yet.
func (s *Service) publishOut(ctx context.Context, p *Parts, snapshot *publish.Snapshot, of *publishState) {
	for name := range of.written {
		if !slices.ContainsFunc(p.Config.Publish, func(t config.Publish) bool { return t.Name == name && t.Outside() }) {
			delete(of.written, name)
			s.metrics.PublishUp.DeleteLabelValues(name)
		}
	}
	for i := range p.Config.Publish {
		t := &p.Config.Publish[i]
		if !t.Outside() {
			continue
		}
		w := of.written[t.Name]
		switch {
		case w == nil || w.parts.Config != p.Config: // a reload tries at once, and says again what fails
			w = &written{parts: p}
			of.written[t.Name] = w
		case w.parts != p: // the store has changed: it is tried at once, and the same failure is no news
			w = &written{parts: p, refused: w.refused, logged: w.logged, absent: w.absent}
			of.written[t.Name] = w
		}
		if w.due(snapshot, s.options.Clock()) {
			s.publishTo(ctx, p, snapshot, t, w)
		}
	}
}

// publishTo brings one target up to date, or as far as the time for it lets it.
func (s *Service) publishTo(ctx context.Context, p *Parts, snapshot *publish.Snapshot, t *config.Publish, w *written) {
	round, cancel := context.WithTimeout(ctx, publishRound)
	defer cancel()
	now := s.options.Clock()
	changed, err := s.writeOut(round, p, snapshot, t, w, func(object string) bool { return !w.refused[object].over(now) })
	if changed > 0 {
		s.log.Info("published certificates written", "target", t.Name, "published", changed)
	}
	failures, _ := errors.AsType[publish.Failures](err)
	up := s.metrics.PublishUp.WithLabelValues(t.Name)
	switch {
	case ctx.Err() != nil:
		return
	case err == nil, len(failures) > 0 && failures.OfObjects() && round.Err() == nil:
		w.snapshot, w.pause = snapshot, pause{}
		w.refuse(failures.Refused(), true, now)
		if len(w.refused) == 0 {
			w.logged = nil
			up.Set(1)
			return
		}
	case errors.Is(err, userentry.ErrUnfinished), round.Err() != nil && changed > 0:
		w.refuse(failures.Refused(), false, now)
		return // it is slow, and gets on
	default:
		w.pause = w.pause.longer(now)
		w.refuse(failures.Refused(), false, now)
	}
	up.Set(0)
	if err != nil && w.news(err) {
		s.log.Warn("publishing certificates failed", "target", t.Name, "error", err)
	}
}

// news reports whether an error has a cause that was not logged since the last success.
func (w *written) news(err error) bool {
	causes := []string{err.Error()}
	if failures, ok := errors.AsType[publish.Failures](err); ok {
		causes = failures.Causes()
	}
	fresh := slices.DeleteFunc(causes, func(c string) bool { return slices.Contains(w.logged, c) })
	w.logged = append(w.logged, fresh...)
	return len(fresh) > 0
}

// writeOut writes to one target and returns how many names or entries were changed.
func (s *Service) writeOut(ctx context.Context, p *Parts, snapshot *publish.Snapshot, t *config.Publish, w *written, later func(object string) bool) (int, error) {
	unsure := snapshot.Unsure(p.publishes[t.Name].Match)
	if t.To == config.PublishDirectory {
		target, err := p.openEntries(ctx, t, p.entriesFor(t, snapshot), unsure)
		if err != nil {
			return 0, err
		}
		if absent := target.Absent(); len(absent) != w.absent {
			w.absent = len(absent)
			if len(absent) > 0 {
				s.log.Info("addresses have no entry of their own in the directory", "target", t.Name, "absent", len(absent), "address", absent[0])
			}
		}
		return publish.Sync(ctx, p.store, ledgerName(t), target, later)
	}
	return publish.Sync(ctx, p.store, ledgerName(t), s.zoneUpdater(t, p.entriesFor(t, snapshot), unsure), later)
}

// ledgerName is the name of a target in the store: what was written to another zone or directory
// is not there in this one.
func ledgerName(t *config.Publish) string { return t.Name + " " + t.Zone + t.Directory }

// Unwritten are the objects of a target outside, entries or names, that the last attempt to write
// them did not finish.
type Unwritten struct {
	Name    string
	Objects []string
}

// Unwritten returns what is not written of each [[publish]] to a target outside, as the store has
// it: also for another process than the gateway.
func (p *Parts) Unwritten(ctx context.Context) (list []Unwritten, err error) {
	for i := range p.Config.Publish {
		t := &p.Config.Publish[i]
		if !t.Outside() {
			continue
		}
		noted, err := p.store.Published(ctx, ledgerName(t))
		if err != nil {
			return nil, err
		}
		u := Unwritten{Name: t.Name}
		for _, object := range slices.Sorted(maps.Keys(noted)) {
			if !noted[object].Done {
				u.Objects = append(u.Objects, object)
			}
		}
		list = append(list, u)
	}
	return list, nil
}

// entriesFor are those of the addresses that a table is for.
func (p *Parts) entriesFor(t *config.Publish, snapshot *publish.Snapshot) iter.Seq[*publish.Entry] {
	match := p.publishes[t.Name]
	return func(yield func(*publish.Entry) bool) {
		for e := range snapshot.All() {
			if match.Match(e.Address) && !yield(e) {
				return
			}
		}
	}
}
