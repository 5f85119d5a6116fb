package config

import (
	"slices"
	"testing"
)

// TestPatternLines: the mark of an editor is not part of the first pattern, which would
// never match with it.
func TestPatternLines(t *testing.T) {
	for text, want := range map[string][]string{
		"\uFEFFalice@x.example\r\nx.example # note\n": {"alice@x.example", "x.example"},
		"\uFEFF# a list\nx.example":                   {"x.example"},
		"\uFEFF":                                      nil,
	} {
		if got := patternLines(text); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
