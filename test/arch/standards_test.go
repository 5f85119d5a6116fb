package arch

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	// namedRFC is a standard that code names.
	namedRFC = regexp.MustCompile(`\bRFC\s+(?://\s+)?(\d{3,5})\b`)
	// listedRFCs is the first cell of a row of docs/rfcs.md.
	listedRFCs = regexp.MustCompile(`(?m)^\| (\d{3,5}(?:, \d{3,5})*) \|`)
)

// TestStandards: docs/rfcs.md has a row for each RFC that the code names, and no other.
func TestStandards(t *testing.T) {
	page, err := os.ReadFile("../../docs/rfcs.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed, named []string
	for _, m := range listedRFCs.FindAllStringSubmatch(string(page), -1) {
		listed = append(listed, strings.Split(m[1], ", ")...)
	}
	for _, s := range sources(t) {
		content, err := os.ReadFile(filepath.Join("../..", s.name))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range namedRFC.FindAllSubmatch(content, -1) {
			n := string(m[1])
			if named = append(named, n); !slices.Contains(listed, n) {
				t.Errorf("%s names RFC %s, which has no row in docs/rfcs.md", s.name, n)
			}
		}
	}
	for i, n := range listed {
		if !slices.Contains(named, n) {
			t.Errorf("docs/rfcs.md lists RFC %s, which no code names", n)
		}
		if slices.Contains(listed[:i], n) {
			t.Errorf("docs/rfcs.md lists RFC %s twice", n)
		}
	}
}
