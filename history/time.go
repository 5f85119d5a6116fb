package history

import (
	"fmt"
	"time"
)

// ParseTime reads a time that a person wrote: by RFC 3339, or without a zone and then in UTC.
func ParseTime(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time; write one such as 2026-12-01T10:42, in UTC", text)
}
