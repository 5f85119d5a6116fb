package arch

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "draw the picture in docs/architecture.md again")

const (
	pictureBegin = "```mermaid\n"
	pictureEnd   = "```\n"
)

// TestPicture keeps the picture of the packages in docs/architecture.md what their
// imports are.
func TestPicture(t *testing.T) {
	text := page(t)
	before, rest, begins := strings.Cut(text, pictureBegin)
	drawn, after, ends := strings.Cut(rest, pictureEnd)
	if !begins || !ends {
		t.Fatal("docs/architecture.md has no picture of the packages")
	}
	want := draw(importsOf(packages(t)))
	if *update {
		if err := os.WriteFile(pageName, []byte(before+pictureBegin+want+pictureEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, drawn); diff != "" {
		t.Errorf("the picture in docs/architecture.md is not what the packages import; run go test ./test/arch -run Picture -update\n%s", diff)
	}
}

// importsOf returns which packages of the program import which others of it; tests
// and what serves them are left out.
func importsOf(all map[string]listed) map[string][]string {
	imports := make(map[string][]string)
	for name, p := range all {
		if forTests(name) {
			continue
		}
		imports[name] = nil
		for _, imported := range p.Imports {
			if local, ok := strings.CutPrefix(imported, module); ok && !forTests(local) {
				imports[name] = append(imports[name], local)
			}
		}
	}
	return imports
}

// forTests reports whether a package serves tests only.
func forTests(name string) bool {
	return slices.ContainsFunc([]string{"test/", "internal/testing/", "internal/slapdtest/"},
		func(top string) bool { return strings.HasPrefix(name+"/", top) })
}

// draw writes the imports as a Mermaid flowchart. An arrow that follows from others is
// left out.
func draw(imports map[string][]string) string {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	for _, name := range sorted(imports) {
		direct := slices.Clone(imports[name])
		slices.Sort(direct)
		drawn := 0
		for _, to := range direct {
			if !slices.ContainsFunc(direct, func(other string) bool { return other != to && leads(imports, other, to) }) {
				fmt.Fprintf(&b, "    %s --> %s\n", name, to)
				drawn++
			}
		}
		if drawn == 0 {
			fmt.Fprintf(&b, "    %s\n", name)
		}
	}
	return b.String()
}

func sorted(imports map[string][]string) []string {
	var names []string
	for name := range imports {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// leads reports whether from imports to, directly or by way of others.
func leads(imports map[string][]string, from, to string) bool {
	return slices.ContainsFunc(imports[from], func(next string) bool { return next == to || leads(imports, next, to) })
}

// TestDraw keeps the picture free of arrows that follow from others.
func TestDraw(t *testing.T) {
	got := draw(map[string][]string{"a": {"c", "b"}, "b": {"c"}, "c": nil})
	if want := "flowchart LR\n    a --> b\n    b --> c\n    c\n"; got != want {
		t.Errorf("got %q", got)
	}
}
