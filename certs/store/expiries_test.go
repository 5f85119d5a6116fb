package store

import (
	"testing"
	"time"
)

// TestExpiries: certificates are counted on the day on which they expire, identities by themselves,
// and none outside of the time.
func TestExpiries(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for months, names := range map[int][]string{1: {"a@example.com", "b@example.com"}, 6: {"c@example.com"}, 13: {"gone@example.com"}} {
			for _, name := range names {
				_, err := w.Put(t.Context(), Harvested, New{Certificate: w.identity(months, name).Certificate})
				w.must(err)
			}
		}
		_, err := w.PutIdentity(t.Context(), Imported, w.identity(1, "alice@example.org"))
		w.must(err)
		days, err := w.Expiries(t.Context(), now, now.AddDate(1, 0, 0))
		w.must(err)
		day := func(months int) time.Time { return now.AddDate(1, -months, 0).UTC().Truncate(24 * time.Hour) }
		if len(days) != 2 || days[0] != (Expiry{day(6), 0, 1}) || days[1] != (Expiry{day(1), 1, 2}) {
			t.Errorf("%+v", days)
		}
		days, err = w.Expiries(t.Context(), now, now.AddDate(0, 7, 0))
		if w.must(err); len(days) != 1 {
			t.Errorf("within seven months: %+v", days)
		}
	})
}
