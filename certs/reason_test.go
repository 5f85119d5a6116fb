package certs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// reasons returns the words of reason.go.
func reasons(t *testing.T) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for _, v := range spec.Values {
			word, err := strconv.Unquote(v.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			words = append(words, word)
		}
		return false
	})
	slices.Sort(words)
	return words
}

func TestReasonsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../docs/reasons.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| (\\w+) \\|").FindAllStringSubmatch(string(doc), -1) {
		documented = append(documented, m[1])
		if r := Reason(m[1]).result(); string(r) != m[2] {
			t.Errorf("%s: documented as %s, is %s", m[1], m[2], r)
		}
	}
	slices.Sort(documented)
	if d := cmp.Diff(reasons(t), documented); d != "" {
		t.Errorf("reasons (-code +docs/reasons.md):\n%s", d)
	}
}
