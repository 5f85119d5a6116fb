package arch

import (
	"os"
	"strings"
	"testing"
)

const pageName = "../../docs/architecture.md"

func page(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(pageName)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// section returns the text below the heading named, up to the next heading of the
// same or a higher level.
func section(t *testing.T, text, heading string) string {
	t.Helper()
	_, rest, ok := strings.Cut(text, "\n"+heading+"\n")
	if !ok {
		t.Fatalf("docs/architecture.md: the heading %q is missing", heading)
	}
	level := strings.Count(strings.Fields(heading)[0], "#")
	for n := 2; n <= level; n++ {
		rest, _, _ = strings.Cut(rest, "\n"+strings.Repeat("#", n)+" ")
	}
	return rest
}

func TestSection(t *testing.T) {
	const text = "# a\n\n## b\nb1\n### c\nc1\n## d\nd1\n"
	for heading, want := range map[string]string{"## b": "b1\n### c\nc1", "### c": "c1", "## d": "d1\n"} {
		if got := section(t, text, heading); got != want {
			t.Errorf("%s: %q", heading, got)
		}
	}
}
