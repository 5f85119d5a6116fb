package service

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/testing/configtest"
)

// TestPublicRoots: none without being asked for, the built-in list by its name, and a
// warning when it is old.
func TestPublicRoots(t *testing.T) {
	with := func(public string, at time.Time) *Parts {
		t.Helper()
		text := configtest.Elsewhere("[trust]\npublic = \""+public+"\"\n", t.TempDir())
		c, problems := config.Parse(filepath.Join(t.TempDir(), "gw.toml"), []byte(text))
		parts, problems := build(c, problems, setting{clock: func() time.Time { return at }, log: slog.New(slog.DiscardHandler)})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		t.Cleanup(func() { _ = parts.Close() })
		return parts
	}
	now := time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC)
	if p := with("", now); p.Anchors != 0 {
		t.Errorf("%d anchors without being asked for", p.Anchors)
	}
	p := with("mozilla", now)
	if p.Anchors < 50 || strings.Contains(p.Warnings(Holdings{}, now).Error(), "public authorities") {
		t.Errorf("%d anchors, %v", p.Anchors, p.Warnings(Holdings{}, now))
	}
	if old := with("mozilla", now.AddDate(2, 0, 0)); !strings.Contains(old.Warnings(Holdings{}, now).Error(), "older than a year") {
		t.Errorf("%v", old.Warnings(Holdings{}, now))
	}
}
