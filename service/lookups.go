package service

import "github.com/smimerelay/smimerelay/directory"

// lookedUp counts a lookup and times the directories that were asked.
func (s *Service) lookedUp(r directory.Result) {
	remembered := "no"
	for _, a := range r.Answers {
		s.metrics.DirectoryNotes.WithLabelValues(a.Source).Add(float64(len(a.Notes)))
		if a.Cached {
			remembered = "yes"
			continue
		}
		s.sources.note(a, s.options.Clock())
		result := "answered"
		if a.Err != nil {
			result = "failed"
		}
		s.metrics.LookupSeconds.WithLabelValues(a.Source, result).Observe(a.Elapsed.Seconds())
	}
	s.metrics.Lookups.WithLabelValues(string(r.Outcome), remembered).Inc()
}
