package config

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]Size{
		"0": 0, "1": 1, "1024": 1024, "1KB": 1 << 10, "50MB": 50 << 20, "50 mb": 50 << 20, " 2GB ": 2 << 30, "8589934591GB": 8589934591 << 30,
	} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "MB", "-1", "-1MB", "1.5MB", "1TB", "50 bananas", "8589934592GB", "99999999999999999999", "0x10"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("ParseSize(%q) = %d, no error", text, got)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0s": 0, "30s": 30 * time.Second, "5m": 5 * time.Minute, "1h30m": 90 * time.Minute, "5d": 120 * time.Hour, "-1d": -24 * time.Hour,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "5", "d", "five minutes", "1.5d", "106752d", "-106752d", "9999999999999999999d"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("ParseDuration(%q) = %v, no error", text, got)
		}
	}
}

// TestWhatIsWrittenIsRead: the example writes what the decoder reads.
func TestWhatIsWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := Size(rapid.Int64Range(0, 1<<62).Draw(t, "size"))
		if got, err := parseSize(size.String()); err != nil || got != size {
			t.Fatalf("%d is written %q and read %d, %v", int64(size), size, int64(got), err)
		}
		d := time.Duration(rapid.Int64Range(0, 1<<62).Draw(t, "duration"))
		if rapid.Bool().Draw(t, "whole seconds") {
			d = d.Truncate(time.Second)
		}
		if got, err := ParseDuration(formatDuration(d)); err != nil || got != d {
			t.Fatalf("%v is written %q and read %v, %v", d, formatDuration(d), got, err)
		}
	})
}
