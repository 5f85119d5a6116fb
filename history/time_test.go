package history

import (
	"testing"
	"time"
)

// TestParseTime: a time without a zone is in UTC, and what is none is refused.
func TestParseTime(t *testing.T) {
	at := time.Date(2026, 12, 1, 10, 42, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"2026-12-01T10:42": at, "2026-12-01 10:42": at, "2026-12-01T10:42:00": at, "2026-12-01T11:42:00+01:00": at, "2026-12-01T10:42:00Z": at,
		"2026-12-01 10:42:07": at.Add(7 * time.Second), "2026-12-01": at.Truncate(24 * time.Hour),
	} {
		if got, err := ParseTime(text); err != nil || !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "10:42", "2026-13-01", "2026-12-01T10:42 ", "yesterday"} {
		if got, err := ParseTime(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}
