package service

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/smimerelay/smimerelay/console/api"
	"github.com/smimerelay/smimerelay/directory"
)

// sourceStates is how the directories answered since the start, by name.
type sourceStates struct {
	mu sync.Mutex
	by map[string]api.Directory
}

// note notes an answer that was not from the cache.
func (s *sourceStates) note(a directory.Answer, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by == nil {
		s.by = map[string]api.Directory{}
	}
	d := s.by[a.Source]
	d.Name, d.Asked, d.Milliseconds = a.Source, now.UTC(), float64(a.Elapsed.Microseconds())/1000
	d.Error = ""
	if a.Err != nil {
		d.Failed++
		d.Error = a.Err.Error()
	} else {
		d.Answered++
	}
	s.by[a.Source] = d
}

// list returns them by name.
func (s *sourceStates) list() []api.Directory {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []api.Directory{}
	for _, d := range s.by {
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b api.Directory) int { return cmp.Compare(a.Name, b.Name) })
	return all
}
