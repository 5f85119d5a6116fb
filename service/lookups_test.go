package service

import (
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/console/api"
	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/internal/observe"
)

func TestLookupsAreCounted(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	s := &Service{metrics: observe.NewMetrics(observe.Depth{}), options: Options{Clock: func() time.Time { return now }}}
	s.lookedUp(directory.Result{Outcome: directory.Unknown, Answers: []directory.Answer{
		{Source: "ldap:a", Elapsed: time.Second, Err: errors.New("down")},
		{Source: "files:b", Elapsed: time.Millisecond},
	}})
	for range 2 {
		s.lookedUp(directory.Result{Outcome: directory.Usable, Answers: []directory.Answer{{Source: "ldap:a", Cached: true}}})
	}
	want := []api.Directory{
		{Name: "files:b", Asked: now, Milliseconds: 1, Answered: 1},
		{Name: "ldap:a", Asked: now, Milliseconds: 1000, Error: "down", Failed: 1},
	}
	if got := s.sources.list(); !slices.Equal(got, want) {
		t.Errorf("directories: %+v", got)
	}
	w := httptest.NewRecorder()
	s.metrics.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	text := w.Body.String()
	for _, line := range []string{
		`smimerelay_lookups_total{outcome="unknown",remembered="no"} 1`,
		`smimerelay_lookups_total{outcome="usable",remembered="yes"} 2`,
		`smimerelay_directory_seconds_sum{result="failed",source="ldap:a"} 1`,
		`smimerelay_directory_seconds_count{result="answered",source="files:b"} 1`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	if strings.Contains(text, `result="answered",source="ldap:a"`) {
		t.Error("a remembered answer was timed")
	}
}
